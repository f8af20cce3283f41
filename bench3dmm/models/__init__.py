"""Models by name. A model is one file of this folder with one decorated function

    @register("my-model", presets=("paper",))
    def build(hierarchy, latent, *, preset): ...

that returns an ``nn.Module`` with ``encode(x) -> z`` and ``decode(z) -> x`` for normalised meshes x (B, V, 3) and
codes z (B, latent). What a model may also say, as attributes:

- ``fit_closed_form(x)``: it is fitted by this instead of by gradient descent;
- ``training_loss(x, loss)``: it says itself what its training compares;
- ``scale_coordinates = False``: it gets centred millimetres instead of coordinates divided by their deviation;
- ``batch_innermost = True``, ``few_rows = True``: how meshes and weights lie in memory, see `models.interface`;
- ``undecayed = ("mean.",)``: parameters whose names begin so have no weight decay.

A model may as well stand in somebody else's package: see `bench3dmm.system.plugins` and docs/your-own-model.md.

Who lives here: `coma`, `lamm`, `neural3dmm`, `pca` and `spiralnet`, a model each; `layers`, what the convolutional ones
are made of; `interface`, what training and measuring ask of any model; `registry`, models by name.
"""

from bench3dmm.models.registry import (
    build_model,
    check_model,
    closed_form,
    model_names,
    model_origin,
    model_summary,
    needs_hierarchy,
    preset_names,
    published_training,
    register,
    task_names,
)

__all__ = [
    "build_model",
    "check_model",
    "closed_form",
    "model_names",
    "model_origin",
    "model_summary",
    "needs_hierarchy",
    "preset_names",
    "published_training",
    "register",
    "task_names",
]
