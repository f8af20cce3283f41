"""May this model, this task take part?

Who lives here: `models` and `tasks` (the two suites), `suite` (what a check says), `subject` (a model under check, on
two small faces).
"""
