"""Approximate nearest neighbours: an ANN graph, which proposes candidates for hits; private.

`usearch` is the graph itself, `scheme` how it is built and how it stores a vector, and `saved` its file.
"""
