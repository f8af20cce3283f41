"""What a result says about where it comes from."""

from __future__ import annotations

from pathlib import Path

from bench3dmm.runs import provenance

TOP = Path(__file__).resolve().parents[2]


def test_provenance_asks_git_about_the_checkout():
    provenance.git_state.cache_clear()
    state = provenance.git_state()
    assert state is None if not (TOP / ".git").exists() else len(state["commit"]) == 40
