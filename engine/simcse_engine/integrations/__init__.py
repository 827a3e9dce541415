"""Adapters: an artifact as the embedding model of other frameworks, each in a file that imports its framework.

ray  Ray Data: a class for `map_batches`
"""
