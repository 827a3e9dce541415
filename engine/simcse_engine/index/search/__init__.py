"""The search in one state of an index, from queries to hits; private.

`searcher` is the whole way of `queries`: it opens a state (`views`), applies the filter (`masks`), and chooses between
`exact` search and `candidates` from the ANN graph, which both return `pairs`. `cosines` scores these, and the best are
`matches`; `hits` have their entries, which stay `known`.
`exact` scans by `codes` (`code_scan`, in our `kernels`), and few rows by their vectors (`scans`, whose `products` are
NumKong's; a `team` of threads shares them). Words give `keyword_matches`, and `fusion` joins these with the others.
"""
