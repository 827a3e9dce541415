"""Search in an index. `recall`, `filters`, `hybrid` and `kills` are scripts.

- `recall`: recall and speed beside FAISS, hnswlib and USearch alone, compared at equal recall (`curve`)
- `filters`: what a filter costs
- `hybrid`: which of the searches by vectors, by words and by both finds what is sought
- `kills`: whether an index keeps what it acknowledged when its `writers` are killed
- `corpus`, `data`: the sentences and vectors that are searched
- `built`, `peers`, `faiss_index`, `other_graphs`: the indexes of them, ours and the peers'
"""
