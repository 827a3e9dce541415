"""What runs inside the contestants' processes, in their environments: nothing here imports the project's own code.

`ours` is the exception: its environment is the project's.
"""
