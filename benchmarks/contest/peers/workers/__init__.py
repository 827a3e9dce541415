"""What runs in the contestants' processes and environments: no file but `ours` imports the project's code.

A worker's `load` returns a function that encodes texts; `convert` makes models.
"""
