"""Where the project's own files are, if it runs from its checkout."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the package: of the checkout, with results, notebooks and docs; of site-packages elsewhere."""
