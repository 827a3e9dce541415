"""Approximate nearest neighbours: an ANN graph, which proposes candidates for hits; private.

`graph` is the graph itself, `usearch` the library's, and `lent` several of these over one file; `scheme` is how it is
built and how it stores a vector, `saved` what is recorded of its file, and `layout` what must be in there.
"""
