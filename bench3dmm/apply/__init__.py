"""What a trained model is used for.

Who lives here: `trained` (a model that takes and gives millimetres), `exported` (as files that load anywhere),
`reconstruct` (a folder of meshes), `generative` (samples, lines, transfer), `editing` (by regions).
"""
