"""Packages of somebody else's, as an installer would leave them: modules and what they declare, in a folder."""

from __future__ import annotations

import sys


def declares(kind, **names):
    """The entry points of a group, as the metadata say them: ``declares("models", mine="my_module:build")``."""
    return f"[bench3dmm.{kind}]\n" + "".join(f"{name} = {value}\n" for name, value in names.items())


def make_package(folder, name, entry_points="", version="0.1", **sources):
    """Write a package with the text of each of its modules; returns the folder that is to be on the path."""
    site = folder / f"site-{name}"
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points)
    for module, text in sources.items():
        (site / f"{module}.py").write_text(text)
    return site


def forget_modules(folder):
    """Those imported from below a folder, so that another test can have modules of the same names."""
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
