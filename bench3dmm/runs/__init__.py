"""Runs, executed and stored.

Who lives here: `execute` (train and evaluate one), `sweep` (many) and `executors` (at once), `results` (files and
frames), `stored` (what a results folder holds), `verify` (does a stored number come out again?), `provenance` (where
it was made, and whose code it was).
"""
