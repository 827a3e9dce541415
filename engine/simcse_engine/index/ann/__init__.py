"""Approximate nearest neighbours: an ANN graph, which proposes candidates for hits; private.

`usearch` is the graph itself, `scheme` how it is built and how it stores a vector, `saved` what is recorded of its
file, and `layout` what must be in there.
"""
