"""The search in one state of an index, from vectors to hits; private.

`searcher` is the whole way: it opens a state (`views`), applies the filter (`masks`), finds the nearest rows
(`nearest`) and reads their entries (`hits`). `nearest` chooses between exact `scans` and `candidates` from the ANN
graph; both return `matches`. `options` checks what a caller asks for.
"""
