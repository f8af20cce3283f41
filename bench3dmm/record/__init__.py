"""What was asked for: one training as a flat record of scalars, below everything that trains.

- `run`: the record `Run` and its id. The same names are notebook parameters, flags and the keys of a stored result.
- `profiles`: how much of a training to do: ``smoke``, ``quick`` or ``paper``.
- `grid`: many records: all combinations of fields, and what tells them apart.
"""
