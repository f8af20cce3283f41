"""Numbers in, intervals and verdicts out.

Who lives here: `bootstrap` (over test persons and seeds), `ranking` (which model errs least) and `headline` (what is
said first of it), `claims` (one engine for the statements of all papers).
"""
