"""The ``bench3dmm`` command: one file a group of commands. A command asks a wing below, and prints what it gets.

`app`        the program: its commands in order, its help, how errors end
`run`        run, sweep, verify, evaluate
`listing`    list
`results`    rank, report
`notebooks`  notebooks
`models`     check, export, reconstruct
`bench`      bench
`data`       data info, data build, data import
`options`    options that many commands share
`show`       tables

Imports of what is heavy wait inside the commands, so that ``--help`` is quick.
"""

from bench3dmm.cli.app import main

__all__ = ["main"]
