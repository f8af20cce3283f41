"""A model that passes every check of `bench3dmm.checks.models`, and others that each break one thing."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from bench3dmm.models import register


class Whole(nn.Module):
    """One layer each way."""

    def __init__(self, n_vertices: int, latent: int) -> None:
        super().__init__()
        self.down = nn.Linear(3 * n_vertices, latent)
        self.up = nn.Linear(latent, 3 * n_vertices)

    def encode(self, x):
        return self.down(x.flatten(1))

    def decode(self, z):
        return self.up(z).view(len(z), -1, 3)

    def forward(self, x):
        return self.decode(self.encode(x))


def whole(hierarchy, latent, *, preset):
    return Whole(hierarchy.sizes[0], latent)


def broken(check, sentence, **settings):
    """Decorator: the class fails that check alone, with these words."""

    def add(kind):
        def build(hierarchy, latent, *, preset):
            return kind(hierarchy.sizes[0], latent)

        build.__qualname__ = build.__name__ = kind.__name__
        name = f"broken-{kind.__name__}"
        BROKEN[name] = (check, sentence)
        register(name, **settings)(build)
        return kind

    return add


BROKEN: dict[str, tuple[str, str]] = {}


@broken("builds", "ValueError: 500 vertices")
class OneTemplate(Whole):
    def __init__(self, n_vertices, latent):
        if n_vertices != 500:
            raise ValueError("500 vertices, no other")
        super().__init__(n_vertices, latent)


@broken("builds", "the model has no forward")
class NoForward(Whole):
    forward = nn.Module.forward


@broken("builds", "no method decode")
class NoDecode(Whole):
    decode = None


@broken("shapes", "decode made (3, 1500)")
class FlatMeshes(Whole):
    def decode(self, z):
        return self.up(z)


@broken("shapes", "forward(x) is not decode(encode(x))")
class OtherForward(Whole):
    def forward(self, x):
        return x + super().forward(x)


@broken("facts", "training of learning_rates", training={"learning_rates": 1e-3})
class MisspeltTraining(Whole):
    pass


@broken("facts", "no fit_closed_form", closed_form=True)
class NotClosed(Whole):
    pass


@broken("facts", "undecayed = ('lower.',)")
class MisspeltUndecayed(Whole):
    undecayed = ("lower.",)


@broken("memory order", "view size is not compatible")
class Contiguous(Whole):
    batch_innermost = True

    def encode(self, x):
        return self.down(x.view(-1, 3).view(len(x), -1))


@broken("latent size", "with latent=19 codes are (2, 16)")
class FixedCode(Whole):
    def __init__(self, n_vertices, latent):
        super().__init__(n_vertices, min(latent, 16))


@broken("latent size", "does not depend on number 0 of a code of 16")
class IdleNumber(Whole):
    def decode(self, z):
        return super().decode(F.pad(z[:, 1:], (1, 0)))


@broken("seed", "down.bias differs")
class ForeignDice(Whole):
    def __init__(self, n_vertices, latent):
        super().__init__(n_vertices, latent)
        self.down.bias.data = torch.from_numpy(np.random.default_rng().normal(size=latent).astype(np.float32))


@broken("repeats", "encode gave two codes")
class AlwaysDropout(Whole):
    def encode(self, x):
        return F.dropout(super().encode(x), 0.5, training=True)


@broken("repeats", "decode gave two meshes")
class NoisyDecoder(Whole):
    def decode(self, z):
        return super().decode(z) + 1e-6 * torch.randn(len(z), 1, 1, dtype=z.dtype, device=z.device)


@broken("gradient", "codes carry none")
class Detached(Whole):
    def encode(self, x):
        return super().encode(x).detach()


@broken("gradient", "down.weight, down.bias is not finite")
class RootOfZero(Whole):
    def decode(self, z):
        return super().decode(z) + 0 * (0 * z).sqrt().sum()


@broken("gradient", "down.bias requires no gradient")
class Frozen(Whole):
    def __init__(self, n_vertices, latent):
        super().__init__(n_vertices, latent)
        self.down.bias.requires_grad_(False)


class _Ascent(torch.autograd.Function):
    """Nothing, with the wrong sign in its backward."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


@broken("learns", "look at its learning rate")
class Ascending(Whole):
    def decode(self, z):
        return _Ascent.apply(super().decode(z))


@broken("learns", "after fit_closed_form")
class Unfitted(Whole):
    def fit_closed_form(self, x):
        pass


@broken("saves", "must be in state_dict()")
class Forgetful(Whole):
    def __init__(self, n_vertices, latent):
        super().__init__(n_vertices, latent)
        self.register_buffer("mixing", torch.randn(latent, latent), persistent=False)

    def encode(self, x):
        return super().encode(x) @ self.mixing


@broken("batch", "encode gave one mesh different results")
class Mixing(Whole):
    def encode(self, x):
        z = super().encode(x)
        return z - z.mean(0)


@broken("one mesh", "is there a squeeze()?")
class Squeezing(Whole):
    def encode(self, x):
        return super().encode(x).squeeze(0)


@broken("input kept", "encode changed its input")
class Overwriting(Whole):
    def encode(self, x):
        return super().encode(x.mul_(2))


@broken("input kept", "decode changed its input")
class OverwritingCodes(Whole):
    def decode(self, z):
        with torch.no_grad():
            z.mul_(2)
        return super().decode(z)


@broken("dtype", "must compute in float64")
class SinglePrecision(Whole):
    def encode(self, x):
        return super().encode(x.float())


@broken("device", "a tensor stays on the CPU")
class CpuConstant(Whole):
    def decode(self, z):
        return super().decode(z + torch.ones(len(z), 1, dtype=z.dtype))


@broken("modes", "Inference tensors")
class Caching(Whole):
    scale = None

    def decode(self, z):
        if self.scale is None:
            self.scale = z.new_ones(())
        return super().decode(z) * self.scale
