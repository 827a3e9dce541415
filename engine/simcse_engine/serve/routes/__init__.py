"""The routes: a file or folder for each family of them, and `table.py` with all."""
