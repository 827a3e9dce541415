"""Results as people read them. `python -m benchmarks.report` publishes those of the last run.

- `pages`: the blocks of README.md and docs/benchmarks.md, and the stamps of plots
- `lead`: what the README says of the fastest peers
- `tables`, `search_tables`, `serve_tables`, `choice_tables`, `form_tables`, `hybrid_tables`: the blocks' Markdown
- `charts`: the figures of each plot; `plots`: draws them; `labels`: names of contestants
"""
