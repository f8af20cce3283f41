"""What each nonlinear mechanism of the embedded data does to PCA and to Neural3DMM.

Trains both at d = 8, 16, 64 on the full set, on the set without any mechanism and on the set without each one, and
writes the table ``results/mechanisms.csv``. The runs themselves go to a folder that is not kept in git:

    python tools/study_mechanisms.py --set mh-scan --results-dir output/mechanisms
    python tools/study_mechanisms.py --set mh-seq --results-dir output/mechanisms
    python tools/study_mechanisms.py --table --results-dir output/mechanisms
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench3dmm.data.synthetic.rig import MECHANISMS
from bench3dmm.record.grid import grid
from bench3dmm.runs.results import load_results
from bench3dmm.runs.sweep import sweep
from bench3dmm.system.storage import write_text

LATENT = [8, 16, 64]
EPOCHS = 10  # a third of quick's: 48 trainings in about 40 minutes on two cores
TABLE = Path(__file__).resolve().parents[1] / "results" / "mechanisms.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--set", choices=["mh-scan", "mh-seq"], help="run the study on this set")
    parser.add_argument("--table", action="store_true", help="write results/mechanisms.csv from the stored runs")
    parser.add_argument("--results-dir", type=Path, default=Path("output/mechanisms"))
    options = parser.parse_args()
    if options.set:
        names = [options.set, f"{options.set}@linear", *(f"{options.set}@no-{m}" for m in MECHANISMS)]
        runs = grid(dataset=names, latent=LATENT, model=["pca", "neural3dmm"], profile="quick", epochs=EPOCHS)
        sweep(runs, options.results_dir)
    if options.table:
        columns = [
            "dataset",
            "split",
            "model",
            "preset",
            "latent",
            "profile",
            "epochs",
            "seed",
            "mean_mm",
            "median_mm",
            "device",
        ]
        frame = (
            load_results(options.results_dir)
            .query("epochs == @EPOCHS")[columns]
            .sort_values(columns[:5], ignore_index=True)
        )
        write_text(TABLE, frame.round(4).to_csv(index=False))
        print(frame.pivot_table(index="dataset", columns=["model", "latent"], values="mean_mm").round(3).to_string())


if __name__ == "__main__":
    main()
