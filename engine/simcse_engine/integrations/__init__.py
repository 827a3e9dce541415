"""Adapters: an artifact as the embedding model of other frameworks, each in a file that imports its framework.

`encoders.py` has what they share, `frameworks.py` what they say where theirs is absent, and `ray.py` is for Ray Data's
`map_batches`. The rest are `langchain.py`, `llama_index.py`, `haystack.py`, `chroma.py`, `lancedb.py`, and `mteb.py`
for the benchmark.
"""
