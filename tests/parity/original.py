"""Run in the environment of the original `simcse`: calls its class with each pooler, and prints what it returned."""

import json
import logging
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from simcse import SimCSE

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

checkpoint, *poolers = sys.argv[1:]
request = json.load(sys.stdin)
queries, keys, threshold = request["queries"], request["keys"], request["threshold"]


def answers_of(pooler: str) -> dict[str, Any]:
    model = SimCSE(checkpoint, device="cpu", pooler=pooler)
    # transformers 5 loads a checkpoint in its files' own precision.
    model.model.float()
    plain = model.encode(queries, return_numpy=True, normalize_to_unit=False)
    answers = {
        "encode one": model.encode(queries[0], return_numpy=True),
        "encode one, keepdim": model.encode(queries[0], return_numpy=True, keepdim=True),
        "encode a list of one": model.encode(queries[:1], return_numpy=True),
        "encode many": model.encode(queries, return_numpy=True),
        "encode many, not to unit": plain,
        "encode many, at most 8 tokens": model.encode(queries, return_numpy=True, max_length=8),
        "similarity one, one": model.similarity(queries[0], keys[0]),
        "similarity one, many": model.similarity(queries[0], keys),
        "similarity many, one": model.similarity(queries, keys[0]),
        "similarity many, many": model.similarity(queries, keys),
        "similarity one, vectors": model.similarity(queries[0], plain),
        "similarity many, vectors": model.similarity(queries, plain),
    }
    model.build_index(keys + queries, use_faiss=False)
    answers["search one"] = [model.search(query, threshold=threshold, top_k=3) for query in queries]
    # Threshold and number are forgotten there for a list; these are the defaults.
    answers["search many"] = model.search(queries)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "sentences.txt")
        file.write_text(request["file"], encoding="utf-8")
        model.build_index(str(file), use_faiss=False)
        answers["sentences of a file"] = model.index["sentences"]
        answers["search a file"] = model.search(queries[0], threshold=-1, top_k=100)
    return {name: value if isinstance(value, list) else np.asarray(value).tolist() for name, value in answers.items()}


print(json.dumps({pooler: answers_of(pooler) for pooler in poolers}, default=float))
