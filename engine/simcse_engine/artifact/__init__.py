"""The artifact: a folder with one graph in one precision for one target, and the manifest that describes it."""
