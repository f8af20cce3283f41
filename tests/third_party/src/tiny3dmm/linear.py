"""A model as a plain function: no import of bench3dmm at all."""

from torch import nn


class Linear(nn.Module):
    def __init__(self, n_vertices, latent):
        super().__init__()
        self.down = nn.Linear(3 * n_vertices, latent)
        self.up = nn.Linear(latent, 3 * n_vertices)

    def encode(self, x):
        return self.down(x.flatten(1))

    def decode(self, z):
        return self.up(z).view(len(z), -1, 3)

    def forward(self, x):
        return self.decode(self.encode(x))


def build(hierarchy, latent, *, preset):
    """One layer each way."""
    return Linear(hierarchy.sizes[0], latent)
