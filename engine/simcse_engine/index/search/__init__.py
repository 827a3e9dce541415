"""The search in one state of an index, from vectors to hits; private.

`searcher` is the whole way: it opens a state (`views`), applies the filter (`masks`), chooses between exact `scans` and
`candidates` from the ANN graph, which both return `matches`, and reads the entries of the best (`hits`).
"""
