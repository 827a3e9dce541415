"""Measurements of the engine, no part of what is installed. `python -m benchmarks` asks what `make bench` asks.

- `contest`: the engine against its peers
- `choices`: why the engine's constants and graphs are what they are
- `search`: an index's recall, speed, filters and durability
- `serve`: the engine behind HTTP, under load
- `scale`: the engine on several workers of Ray
- `gpu`: checks and timings on an NVIDIA GPU
- `report`: tables and plots from results; `results/` has the published ones

All share `inputs` (models and sentences), `turns` (contestants in alternation), `statistics`, `record` (files of
results), `kept` (what an interrupted run keeps), `peak` and `flops` (products that a machine does and a model needs),
`libraries` (builds of the native library), `asking` (options and progress) and `tether` (commands that end with the
process that runs them).
"""
