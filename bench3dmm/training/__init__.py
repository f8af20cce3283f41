"""The one trainer.

Who lives here: `fit` (epochs over meshes), `step` (one step, as the device likes it), `objective` (the examples of an
epoch and the value to make small), `losses`, `schedule` (how long and how fast), `checkpoint` (where an interrupted
training goes on), `weights` (a trained model as one file).
"""
