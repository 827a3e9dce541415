"""Run in the environment of the original `simcse`: calls its class on a checkpoint, and prints what it returned."""

import json
import logging
import sys
import warnings

import numpy as np
from simcse import SimCSE

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

checkpoint, pooler = sys.argv[1:3]
given = json.load(sys.stdin)
queries, keys = given["queries"], given["keys"]
model = SimCSE(checkpoint, device="cpu", pooler=pooler)
found = {
    "encode one": model.encode(queries[0], return_numpy=True),
    "encode one, keepdim": model.encode(queries[0], return_numpy=True, keepdim=True),
    "encode many": model.encode(queries, return_numpy=True),
    "similarity one, one": model.similarity(queries[0], keys[0]),
    "similarity one, many": model.similarity(queries[0], keys),
    "similarity many, one": model.similarity(queries, keys[0]),
    "similarity many, many": model.similarity(queries, keys),
}
model.build_index(keys + queries, use_faiss=False)
found["search"] = [model.search(query, threshold=given["threshold"], top_k=3) for query in queries]
plain = {name: value if isinstance(value, list) else np.asarray(value).tolist() for name, value in found.items()}
print(json.dumps(plain, default=float))
