"""What people open.

Who lives here: `report` (all that is stored on one page; its `chapters`, their `evidence` and the runs' `origins`),
`html` (pages through the templates of `templates`), `notebooks` (through papermill), `workbook` (what every notebook
does around its figures).
"""
