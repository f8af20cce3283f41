"""Small datasets with the expressions of the paper's tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
from synthetic_head import synthetic_head

from bench3dmm.data.dataset import Dataset
from bench3dmm.data.synthetic.counts import TABLE2
from bench3dmm.mesh.template import Template


def head_template():
    vertices, faces = synthetic_head(20, 24)
    return Template(vertices, faces, np.zeros(0, dtype=np.int32), "synthetic")


def make_dataset(template, rows, name="mh-scan"):
    samples = pd.DataFrame(rows, columns=["subject", "expression", "level", "frame"])
    scale = 1 + 0.01 * np.arange(len(samples))[:, None, None]
    vertices = (template.vertices * scale).astype(np.float32)
    return Dataset(name, template, vertices, samples, "0123456789abcdef" * 4, {})


def scan_dataset(template):
    """Four people with all of Table 2's expressions but one, at two levels."""
    rows = [
        (f"F{subject:04d}", expression, level, 0)
        for subject in range(4)
        for expression in TABLE2
        for level in (1.0, 0.5)
        if (subject, expression) != (1, "sad")
    ]
    return make_dataset(template, rows)
