"""The engine against its peers, each in a process of its own. `python -m benchmarks --only QUESTION` asks one.

- `versus`, `latency`, `lengths`, `threads`, `cold_start`, `memory`, `quality`, `size`: the questions. Each has a
  `QUESTION`, and a `measure` that takes the field (`size`: the peers) and its own options and returns the figures.
- `field`: all contestants on one model, and their turns
- `contestant`, `settings`: one of them, and the search of a peer's best settings
- `peers`: environments, models and workers of the peers
"""
