"""Can a model take part? What the trainer, the evaluator and the files ask of one, each as a check.

The faces are two small ones, made from the embedded template, so that all checks together take seconds. They say
nothing about how good a model is.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from bench3dmm.checks.subject import (
    NEAR,
    SIZES,
    Devices,
    NotAsked,
    Subject,
    Wrong,
    codes,
    copied,
    decode,
    difference,
    encode,
    equal,
    listed,
)
from bench3dmm.checks.suite import FAILED, SKIPPED, Check, outcome_of, short
from bench3dmm.errors import Bench3dmmError, PluginError
from bench3dmm.models.interface import arrange, as_coder, has_closed_form
from bench3dmm.models.registry import check_model as check_model_name
from bench3dmm.models.registry import closed_form, preset_names, published_training
from bench3dmm.record.run import TRAINING, Run
from bench3dmm.system.device import full_precision, seeded
from bench3dmm.system.words import counted
from bench3dmm.tasks.registry import check_task as check_task_name
from bench3dmm.tasks.registry import get_task
from bench3dmm.training.fit import fit
from bench3dmm.training.losses import mean_absolute
from bench3dmm.training.schedule import Schedule
from bench3dmm.training.step import gradients
from bench3dmm.training.weights import load_model, save_weights

EPOCHS = 40  # of one batch each
LEARNT = 0.98  # of the first loss; what is below has fallen


def check_model(name: str, preset: str = "", latent: int = 16, task: str = "") -> list[Check]:
    """Every check of one model, in the order in which its author would mend it.

    Args:
        name: of a registered model, one that an installed package declares, or an import path (``my_module:build``).
        preset: the model's default one if empty.
        latent: the size d that most checks use.
        task: whose own checks follow.

    Raises:
        UnknownNameError, PluginError: no such model, preset or task, or its package cannot be imported; a task that the
            model is not registered for.
    """
    preset = preset or preset_names(name)[0]
    check_model_name(name, preset)
    subject = Subject(name, preset, latent)
    checks: list[Check] = []
    with full_precision():
        for label, ask in {**CHECKS, **_of_task(task, name)}.items():
            if broken := next((c.name for c in checks if c.name in NEEDED and c.outcome == FAILED), None):
                checks.append(Check(label, SKIPPED, f"not tried: mend {broken!r} first"))
            else:
                checks.append(outcome_of(label, ask, subject))
    return checks


def _of_task(task: str, model: str) -> dict[str, Callable[[Subject], str]]:
    """What a task asks of a model beyond all others: its checks, on a fitted model."""
    if not task:
        return {}
    check_task_name(task, model)

    def asking(check: Callable[[nn.Module, torch.Tensor], str]) -> Callable[[Subject], str]:
        def ask(subject: Subject) -> str:
            try:
                return check(*subject.fitted())
            except Bench3dmmError as error:
                raise Wrong(str(error)) from None

        ask.__doc__ = check.__doc__
        return ask

    return {f"{task}: {label}": asking(check) for label, check in get_task(task).checks.items()}


# --- the checks: each says what was seen, or raises ---------------------------------------------------------------


def _builds(s: Subject) -> str:
    """build(hierarchy, latent, preset=...) must give a model for any template."""
    for which in range(len(SIZES)):
        model = s.build(which)
        if not isinstance(model, nn.Module):
            raise Wrong(f"build gave {type(model).__name__}: return a torch.nn.Module")
        if missing := [name for name in ("encode", "decode") if not callable(getattr(model, name, None))]:
            raise Wrong(f"the model has no method {' and no '.join(missing)}: write encode(x) -> z and decode(z) -> x")
        if type(model).forward is nn.Module.forward:
            raise Wrong("the model has no forward: add one that returns self.decode(self.encode(x))")
    sizes = " and ".join(str(hierarchy.sizes[0]) for hierarchy in s.hierarchies)
    return f"on templates of {sizes} vertices, {counted(len(s.hierarchies[0].levels), 'level')} each"


def _shapes(s: Subject) -> str:
    """Meshes (B, V, 3) must become codes (B, d), and codes meshes (B, V, 3)."""
    for which in range(len(SIZES)):
        model = s.build(which).eval()
        x = s.meshes(model, which)[:3]
        z = encode(model, x)
        if z.shape != (3, s.latent):
            raise Wrong(f"encode made {tuple(z.shape)} of {tuple(x.shape)}: it must be (B, d) = {(3, s.latent)}")
        y = decode(model, z)
        if y.shape != x.shape:
            raise Wrong(f"decode made {tuple(y.shape)} of {tuple(z.shape)}: it must be (B, V, 3) = {tuple(x.shape)}")
        if not (z.isfinite().all() and y.isfinite().all()):
            raise Wrong("codes or meshes of a new model are not finite: look at its initialisation")
        drawn = not torch.equal(y, decode(model, encode(model, x, 1), 1))  # which is another check's matter
        with torch.no_grad(), seeded(0):
            whole = model(x.clone())
        if whole.shape != x.shape or not (drawn or difference(whole, y) <= NEAR):
            raise Wrong("forward(x) is not decode(encode(x)): the trainer calls the first, everything else the others")
    return f"(B, V, 3) to (B, {s.latent}) and back; forward is decode after encode"


def _facts(s: Subject) -> str:
    """What the model says of itself must be what a run and the trainer can read."""
    training = published_training(s.name, s.preset)
    if unknown := [name for name in training if name not in TRAINING]:
        raise Wrong(f"registered with training of {listed(unknown)}: it may hold {', '.join(TRAINING)}")
    try:
        s.run(**training)
    except Bench3dmmError as error:
        raise Wrong(f"registered with a training that no run can have: {error}") from None
    model = s.build()
    for name in ("scale_coordinates", "batch_innermost", "few_rows"):
        if not isinstance(getattr(model, name, True), bool):
            raise Wrong(f"{name} is {getattr(model, name)!r}: it must be True or False")
    undecayed = getattr(model, "undecayed", ())
    names = [name for name, _ in model.named_parameters()]
    if isinstance(undecayed, str) or any(not any(n.startswith(start) for n in names) for start in undecayed):
        raise Wrong(f"undecayed = {undecayed!r}: it must be a tuple of beginnings of parameters' names")
    if closed_form(s.name) and not has_closed_form(model):
        raise Wrong("registered with closed_form=True, but the model has no fit_closed_form(x)")
    told = [f"{name} {value}" for name, value in training.items()]
    return (
        f"registered with a training of its own: {', '.join(told)}" if told else "the training is the project's default"
    )


def _memory_order(s: Subject) -> str:
    """With batch_innermost the model must take meshes whose innermost dimension in memory is the batch."""
    model, x = s.fitted()
    if not getattr(model, "batch_innermost", False):
        raise NotAsked("batch_innermost is not set: meshes come in the usual order")
    z = encode(model, x)
    with torch.no_grad():
        arranged = as_coder(model).encode(arrange(model, x))
    if difference(arranged, z) > NEAR:
        raise Wrong(
            "with batch_innermost other codes came out of meshes that only lie otherwise in memory: do not "
            "reinterpret the storage (as_strided)"
        )
    return "the batch innermost in memory gives the same codes"


def _gradient(s: Subject) -> str:
    """The loss must have a finite gradient by every parameter that takes part."""
    model = s.build().train()
    if has_closed_form(model):
        raise NotAsked("fitted in closed form")
    named = dict(model.named_parameters())
    if not named:
        raise Wrong("the model has no parameters: register them with nn.Parameter, or write fit_closed_form(x)")
    if frozen := [name for name, parameter in named.items() if not parameter.requires_grad]:
        raise Wrong(f"{listed(frozen)} requires no gradient: make it a buffer (register_buffer)")
    x = s.meshes(model)
    _, parts = gradients(model, x.clone(), mean_absolute)
    found = dict(zip(named, parts, strict=True))
    if wild := [name for name, part in found.items() if part is not None and not part.isfinite().all()]:
        raise Wrong(f"the gradient of {listed(wild)} is not finite on smooth faces: look for a root or log of zero")
    without = [name for name, part in found.items() if part is None]
    if without and not as_coder(model).encode(x.clone()).requires_grad:
        raise Wrong(
            f"{listed(without)} gets no gradient, since codes carry none: is there a detach or no_grad in encode?"
        )
    if without:
        return f"finite; {listed(without)} takes no part and gets none, though it counts as a parameter"
    return f"finite, to all {len(named)} parameters"


def _latent_size(s: Subject) -> str:
    """The code must have as many numbers as were asked for, and each must count."""
    sizes = sorted({1, s.latent + 3, 2 * s.latent} - {s.latent})
    for size in sizes:
        model = s.build(latent=size).eval()
        z = encode(model, s.meshes(model)[:2])
        if z.shape != (2, size):
            raise Wrong(f"with latent={size} codes are {tuple(z.shape)}: build must take the size it is given")
        decode(model, z)
    model, _ = s.fitted()
    counts = torch.zeros(s.latent, dtype=torch.bool)
    for base, step in itertools.product(codes(3, s.latent), (1.0, -1.0)):
        moved = decode(model, base + step * torch.eye(s.latent))
        counts |= (moved != decode(model, base.expand(s.latent, -1))).flatten(1).any(1)
    if not counts.all():
        idle = [str(place) for place in (~counts).nonzero().flatten().tolist()]
        raise Wrong(f"decode does not depend on number {listed(idle)} of a code of {s.latent}: use all of it")
    return f"d = {', '.join(map(str, sorted({*sizes, s.latent})))}; every number of a code counts"


def _seed(s: Subject) -> str:
    """The same seed must give the same new model."""
    first, second = s.build(), s.build()
    tensors = dict(itertools.chain(second.named_parameters(), second.named_buffers()))
    for name, tensor in itertools.chain(first.named_parameters(), first.named_buffers()):
        if name not in tensors or not equal(tensor, tensors[name]):
            raise Wrong(
                f"{name} differs between two models built from one seed: draw it with torch's own generator, "
                "not with random or numpy.random"
            )
    return "the same seed gives the same weights"


def _repeats(s: Subject) -> str:
    """In evaluation mode the same input must give the same output."""
    model, x = s.fitted()
    z = encode(model, x)
    if not torch.equal(z, encode(model, x, seed=1)):
        raise Wrong(
            "encode gave two codes for one mesh after eval(): draw nothing at random where self.training is False"
        )
    if not torch.equal(decode(model, z), decode(model, z, seed=1)):
        raise Wrong(
            "decode gave two meshes for one code after eval(): draw nothing at random where self.training is False"
        )
    return "equal bits for equal input after eval()"


def _learns(s: Subject) -> str:
    """The project's own trainer must lower the error."""
    model = s.build()
    x = s.meshes(model)
    if has_closed_form(model):
        fit(model, x, mean_absolute, _schedule(s, len(x), 1), 0, progress=False)
        mean, error = x.abs().mean().item(), (decode(model, encode(model, x)) - x).abs().mean().item()
        if not error < LEARNT * mean:
            raise Wrong(f"after fit_closed_form the error is {error:.3f}, of the mean mesh alone {mean:.3f}: fit to x")
        return f"fitted in closed form, the error is {error:.3f}, of the mean mesh alone {mean:.3f}"
    own = _schedule(s, len(x), EPOCHS)
    losses = fit(model, x, mean_absolute, own, 0, progress=False)[0]
    told = (
        f"{EPOCHS} steps of the training it is registered with took the loss from {losses[0]:.3f} to {losses[-1]:.3f}"
    )
    if not losses[-1] < LEARNT * losses[0]:  # slow, or wrong? The project's default tells
        by_default = fit(s.build(), x, mean_absolute, _schedule_of(s.run(), len(x), EPOCHS), 0, progress=False)[0]
        told += f", of the project's default to {by_default[-1]:.3f}"
        if not (losses[-1] < losses[0] and by_default[-1] < LEARNT * by_default[0]):
            raise Wrong(f"{told}: look at its learning rate, and at gradients that are written by hand")
    if fit(s.build(), x, mean_absolute, own, 0, progress=False)[0] != losses:
        told += "; it draws while it trains, not with torch's generator, which the run's seed sets: runs do not repeat"
    return told


def _schedule(s: Subject, count: int, epochs: int) -> Schedule:
    """The model's published training, a batch of all meshes a step."""
    return _schedule_of(s.run(**published_training(s.name, s.preset)), count, epochs)


def _schedule_of(run: Run, count: int, epochs: int) -> Schedule:
    return Schedule.of(replace(run, epochs=epochs, batch_size=count))


def _saves(s: Subject) -> str:
    """Saved and loaded into a new model, the weights must give the same bits."""
    model = s.build()
    x = s.meshes(model)
    fit(model, x, mean_absolute, _schedule(s, len(x), 2), 0, progress=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        try:
            save_weights(path, s.run(), model, s.normaliser(model), s.hierarchies[0], s.faces[0])
        except PluginError as error:
            raise Wrong(str(error)) from None
        with seeded(987):
            loaded, _ = load_model(path)
    model.eval()
    z = encode(model, x)
    if not (torch.equal(encode(loaded, x), z) and torch.equal(decode(loaded, z), decode(model, z))):
        raise Wrong(
            "a model built from another seed, with the saved state, computes something else: what was drawn or learnt "
            "must be in state_dict(), as a parameter or a persistent buffer"
        )
    return "a model built anew, with the saved state, computes the same bits"


def _batch(s: Subject) -> str:
    """The code of a mesh must not depend on which meshes come with it."""
    model, x = s.fitted()
    z = codes(8, s.latent)
    for name, function, given in (("encode", encode, x), ("decode", decode, z)):
        whole = function(model, given[:4])
        other = function(model, torch.cat([given[:1], given[5:8]]))
        if difference(other[0], whole[0]) > NEAR:
            raise Wrong(
                f"{name} gave one mesh different results among different others, after eval(): mix nothing across the "
                "batch (dimension 0); batch statistics belong to training only"
            )
    return "a mesh gives the same whichever meshes come with it"


def _one_mesh(s: Subject) -> str:
    """A batch of one mesh must be as good as any other."""
    model, x = s.fitted()
    z = encode(model, x[:1])
    if z.shape != (1, s.latent):
        raise Wrong(f"one mesh gave a code of shape {tuple(z.shape)}, not {(1, s.latent)}: is there a squeeze()?")
    y = decode(model, codes(1, s.latent))
    if y.shape != x[:1].shape:
        raise Wrong(f"one code gave a mesh of shape {tuple(y.shape)}, not {tuple(x[:1].shape)}: is there a squeeze()?")
    try:
        empty = decode(model, encode(model, x[:0])).shape == x[:0].shape
    except Exception:  # nothing here makes empty batches
        empty = False
    return "one mesh is a batch; an empty batch " + ("too" if empty else "is refused, which is allowed")


def _input_kept(s: Subject) -> str:
    """encode and decode must leave what they are given as it was."""
    model, x = s.fitted()
    z = codes(len(x), s.latent)
    for name, given in (("encode", x), ("decode", z)):
        mine = given.clone()
        with torch.no_grad():
            getattr(model, name)(mine)
        if not torch.equal(mine, given):
            raise Wrong(f"{name} changed its input in place: the loss compares with that memory; copy it first")
    return "encode and decode leave their input alone"


def _dtype(s: Subject) -> str:
    """float32 must stay float32, and the model in float64 must compute in float64."""
    model, x = s.fitted()
    z = encode(model, x)
    y = decode(model, z)
    if not z.dtype == y.dtype == torch.float32:
        raise Wrong(f"float32 meshes gave codes in {z.dtype} and meshes in {y.dtype}: keep to the input's dtype")
    double = copied(model).double()
    exact_z = encode(double, x.double())
    exact_y = decode(double, z.double())
    if not exact_z.dtype == exact_y.dtype == torch.float64:
        raise Wrong(f"model.double() gave codes in {exact_z.dtype}, meshes in {exact_y.dtype}: do not name a dtype")
    if max(difference(z, exact_z), difference(y, exact_y)) > 100 * NEAR:
        raise Wrong("in float64 the model computes something else: do not branch on the dtype")
    return "float32 and float64"


def _device(s: Subject) -> str:
    """Everything the model computes with must follow it to a device."""
    model, x = s.fitted()
    moved = as_coder(copied(model).to("meta"))  # a device without memory: what was left behind shows
    there = torch.zeros(x.shape, device="meta")
    with Devices() as devices, torch.no_grad():
        try:
            moved.decode(moved.encode(there))
        except NotImplementedError as error:  # an operation that needs values
            raise NotAsked(f"cannot be followed on the meta device ({short(error)}); try it on a GPU") from None
        except RuntimeError as error:
            if not devices.elsewhere:
                raise
            left = f"{devices.elsewhere[0]} ({short(error)})"
            raise Wrong(_left_behind(left)) from None
    if devices.elsewhere:
        raise Wrong(_left_behind(devices.elsewhere[0]))
    if not torch.cuda.is_available():
        return "parameters and buffers follow, nothing is made elsewhere; CUDA was not tested, there is none here"
    on_gpu = copied(model).to("cuda")
    z, there = encode(model, x), encode(on_gpu, x.cuda())
    if max(difference(there.cpu(), z), difference(decode(on_gpu, z.cuda()).cpu(), decode(model, z))) > 100 * NEAR:
        raise Wrong("on CUDA the model computes something else than on the CPU")
    return "CPU and CUDA compute the same; parameters and buffers follow"


def _left_behind(what: str) -> str:
    return (
        f"a tensor stays on the CPU when the model is moved: {what}; make constants buffers (register_buffer), and "
        "new tensors with x.new_zeros(...) or device=x.device"
    )


def _modes(s: Subject) -> str:
    """The model must train after it was evaluated, and evaluate after it was trained."""
    model, x = s.fitted()
    with torch.inference_mode():
        model(x.clone())
    if not has_closed_form(model):
        gradients(model.train(), x.clone(), mean_absolute)
    if not model.eval()(x.clone()).isfinite().all():
        raise Wrong("after a training step without an update its reconstructions are not finite")
    return "evaluates without gradients, then trains"


CHECKS: dict[str, Callable[[Subject], str]] = {
    "builds": _builds,
    "shapes": _shapes,
    "facts": _facts,
    "memory order": _memory_order,
    "gradient": _gradient,
    "latent size": _latent_size,
    "seed": _seed,
    "repeats": _repeats,
    "learns": _learns,
    "saves": _saves,
    "batch": _batch,
    "one mesh": _one_mesh,
    "input kept": _input_kept,
    "dtype": _dtype,
    "device": _device,
    "modes": _modes,
}
NEEDED = (
    "builds",
    "shapes",
    "facts",
    "memory order",
    "gradient",
)  # where one of these fails, the others would only fail after it
