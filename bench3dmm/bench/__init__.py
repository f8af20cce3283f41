"""``bench3dmm bench``: the engine against the published formulation and against the machine.

A bench is made of sections, each a part of one JSON record beside ``machine`` (what the hardware does at best):

- `compare`: time in turns, and memory, of the engine and of the `published` formulation.
- `peers`: every model beside Neural3DMM.
- `lamm`: generation and training memory beside spiral models.
- `layers`: each layer against its floor.
- `scaling`: over vertices, batch and latent size.
- `together`: several trainings at once.
- `around`: start-up, hierarchy, evaluation.

Below them `cases` says what is measured, `timing` has the clocks, and `worker` measures in a fresh process. Above them
`sections` measures what is asked for, `stored` is the record on disk, `report` and `pictures` show it.
"""

from bench3dmm.bench.sections import run_bench, save_bench
from bench3dmm.bench.stored import SECTIONS, load_bench, of_section

__all__ = ["SECTIONS", "load_bench", "of_section", "run_bench", "save_bench"]
