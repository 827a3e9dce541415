"""The engine on an NVIDIA GPU: `python -m benchmarks.gpu`.

- `checks`: right vectors, all nodes on the GPU, level memory
- `speed`: timings beside torch
- `torch_peers`: transformers on torch, and sentence-transformers
"""
