"""What was asked: a run as flat scalars, and its id.

Who lives here: `run` (one training as a record), `profiles` (how much of a training to do), `grid` (many runs, and what
tells them apart). Nothing here trains, loads or looks up a name.
"""
