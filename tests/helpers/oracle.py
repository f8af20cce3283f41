"""Neural3DMM as published, slow and obvious: what the engine is held against."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def oracle(weights, hierarchy, preset, x):
    """The published formulation: a dummy vertex everywhere, dense D and U, gather, concatenate, one Linear.

    Takes normalised x (B, V, 3); returns z and the reconstruction.
    """
    sizes = [len(level.vertices) for level in hierarchy.levels]

    def spiral_conv(x, level, prefix, *, elu):
        table = torch.from_numpy(hierarchy.spirals(level, preset.hops[level], preset.dilation[level])).long()
        table = torch.cat([table, torch.full((1, table.shape[1]), -1)])  # the dummy's own spiral
        gathered = x[:, table.flatten()].reshape(len(x), len(table), -1)  # -1 reads the last vertex, the dummy
        out = F.linear(gathered, weights[f"{prefix}.linear.weight"], weights[f"{prefix}.linear.bias"])
        out = F.elu(out) if elu else out
        mask = torch.ones(1, len(table), 1, dtype=x.dtype)
        mask[:, -1] = 0
        return out * mask

    def down(level):
        matrix = torch.zeros(sizes[level + 1] + 1, sizes[level] + 1, dtype=x.dtype)
        matrix[torch.arange(sizes[level + 1]), torch.from_numpy(hierarchy.kept[level]).long()] = 1
        matrix[-1, -1] = 1
        return matrix

    def up(level):
        matrix = torch.zeros(sizes[level] + 1, sizes[level + 1] + 1, dtype=x.dtype)
        index, weight = hierarchy.up_index[level], hierarchy.up_weight[level]
        for row in range(sizes[level]):
            for k in range(3):
                matrix[row, index[row, k]] += weight[row, k]
        matrix[-1, -1] = 1
        return matrix

    h = torch.cat([x, x.new_zeros(len(x), 1, 3)], dim=1)
    for level in range(4):
        h = down(level) @ spiral_conv(h, level, f"encoder_convs.{level}", elu=True)
    z = F.linear(h.reshape(len(x), -1), weights["encoder_fc.weight"], weights["encoder_fc.bias"])
    h = F.linear(z, weights["decoder_fc.weight"], weights["decoder_fc.bias"])
    h = h.reshape(len(x), sizes[-1] + 1, preset.encoder[-1])
    for i, level in enumerate((3, 2, 1, 0)):
        last = level == 0 and preset.final is None
        h = spiral_conv(up(level) @ h, level, f"decoder_convs.{i}", elu=not last)
    if preset.final is not None:
        h = spiral_conv(h, 0, "decoder_convs.4", elu=False)
    return z, h[:, :-1]
