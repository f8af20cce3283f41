"""What knows no face: where the project's files are, and who declares what."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from bench3dmm.errors import PluginError
from bench3dmm.pages import notebooks
from bench3dmm.runs import results
from bench3dmm.system import checkout, plugins

TOP = Path(__file__).resolve().parents[2]


def test_the_checkout_is_where_the_project_s_folders_are():
    assert checkout.ROOT == TOP and (TOP / "pyproject.toml").is_file()
    assert results.CHECKOUT_RESULTS == TOP / "results" and results.CHECKOUT_RESULTS.is_dir()
    assert notebooks.FOLDER == TOP / "notebooks" and list(notebooks.FOLDER.glob("*.ipynb"))


def test_the_ledger_s_page_is_the_checkout_s():
    from bench3dmm.papers.neural3dmm_bu3dfe.ledger import PAGE

    assert PAGE == TOP / "docs" / "ledger.md" and PAGE.is_file()


@pytest.mark.parametrize("group", plugins.KINDS)
def test_a_wrong_import_path_is_answered_with_one_of_its_kind(group):
    example = plugins.EXAMPLES[group]
    with pytest.raises(PluginError, match=rf"{plugins.KINDS[group]} 'my module:x'.* such as {example}"):
        plugins.load(group, "my module:x")
    assert plugins.is_import_path(example)


def test_a_module_s_package_is_the_one_that_declares_something_in_it(monkeypatch):
    """Whichever group it declares it in, and wherever in the package it lies."""
    whose = metadata.distribution("numpy")
    point = metadata.EntryPoint("waves", "others.deep.waves:TASK", plugins.TASKS)._for(whose)
    monkeypatch.setattr(plugins, "declared", lambda group: [point] if group == plugins.TASKS else [])
    assert plugins.declaring("others.elsewhere") is whose
    assert plugins.declaring("another") is None
