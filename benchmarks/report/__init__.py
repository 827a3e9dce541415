"""Results as people read them. `python -m benchmarks.report` publishes those of the last run.

- `pages`: the blocks of README.md and docs/benchmarks.md, and the stamps of plots
- `lead`: what the README says of the fastest peers
- `tables`, and those of subjects, `…_tables`: the blocks' Markdown; `search_goals` and `gpu_tables`: targets
- `charts`: the figures of each plot; `plots`: draws them; `labels`: names of contestants
"""
