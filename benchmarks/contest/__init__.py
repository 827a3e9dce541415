"""The engine against its peers, each in a process of its own. `python -m benchmarks.contest QUESTION` asks one.

- `versus`, `latency`, `lengths`, `threads`, `cold_start`, `memory`, `quality`, `size`: the questions
- `questions`: how each is asked, and where its result goes
- `field`: all contestants on one model, and their turns
- `contestant`, `settings`: one of them, and the search of a peer's best settings
- `efficiency`: shares of the machine's peak
- `peers`: environments, models and workers of the peers
"""
