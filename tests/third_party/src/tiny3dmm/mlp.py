"""A plain autoencoder that registers itself, with a training and a preset of its own."""

from torch import nn

from bench3dmm.models import register


class MLP(nn.Module):
    def __init__(self, n_vertices, latent, width):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(3 * n_vertices, width), nn.ELU(), nn.Linear(width, latent))
        self.decoder = nn.Sequential(nn.Linear(latent, width), nn.ELU(), nn.Linear(width, 3 * n_vertices))

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z).view(len(z), -1, 3)

    def forward(self, x):
        return self.decode(self.encode(x))


@register("tiny-mlp", presets=("small", "large"), training={"learning_rate": 2e-3, "batch_size": 8})
def build(hierarchy, latent, *, preset):
    """Two layers each way."""
    return MLP(hierarchy.sizes[0], latent, {"small": 16, "large": 32}[preset])
