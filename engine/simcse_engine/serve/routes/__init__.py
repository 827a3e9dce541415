"""The routes: a file for each family of them, and `table.py` with all."""
