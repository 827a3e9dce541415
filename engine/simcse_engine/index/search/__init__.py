"""The search in one state of an index."""
