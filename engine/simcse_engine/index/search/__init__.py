"""The search in one state of an index, from queries to hits; private.

`searcher` is the whole way of `queries`: it opens a state (`views`), applies the filter (`masks`), and chooses between
`exact` search and `candidates` from the ANN graph, which both return `matches`; `hits` reads the entries of the best.
`exact` scans by `codes` (`code_scan`, a stretch of rows after the other: `stretches`; `products` multiplies, a `team`
of threads shares the work), and few rows by their vectors (`scans`). Words give `keyword_matches`, and `fusion` joins
these with the others.
"""
