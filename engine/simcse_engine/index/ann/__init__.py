"""Approximate nearest neighbours: an ANN graph, which proposes candidates for hits; private.

`graph` is the graph itself, `usearch` the library's, and `walk` our own search of a file of its; `lent` lends either.
`scheme` is how it is built and how it stores a vector, `saved` what is recorded of its file, and `layout` what must be
in there.
"""
