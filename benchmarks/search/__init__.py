"""Search in an index. `recall`, `filters` and `kills` are scripts.

- `recall`: recall and speed beside exact search, bare USearch and FAISS
- `filters`: what a filter costs
- `kills`: whether an index keeps what it acknowledged when its writer is killed
- `data`, `built`, `faiss_index`: the vectors that are searched, and the indexes of them
"""
