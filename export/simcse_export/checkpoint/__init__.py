"""The checkpoint: what its files say, its weights, and transformers' own model of it."""
