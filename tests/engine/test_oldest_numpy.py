"""The oldest numpy that is supported: vectors of every form, an index and its filters are the same to the bit."""

import json
import os
from pathlib import Path

import simcse_engine
from support.child import run_script
from support.environments import overlay

OLDEST = "1.26.0"

# What the parts that compute come to, as digests; once in this environment, and once beside that numpy.
WORK = """
    import hashlib, json, sys
    import numpy as np
    from simcse_engine import Encoder, Index

    artifact, folder, release = sys.argv[1:]
    assert np.__version__.startswith(release), np.__version__
    texts = [f"the cat {'is on the mat ' * (i % 4)}{i}" for i in range(300)]
    found = {}

    def note(name, array):
        array = np.ascontiguousarray(array)
        found[name] = [str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()]

    with Encoder(artifact, threads=2) as encoder:
        for dtype in ("float32", "float16", "int8", "uint8", "binary", "ubinary"):
            note(dtype, encoder.encode(texts, dtype=dtype, dimensions=16))
        queries = encoder.encode(texts[:5])
    for dtype in ("f32", "f16"):
        with Index.create(f"{folder}/{dtype}", artifact, dtype=dtype, keywords=True) as index:
            index.add(texts, metadata=[{"n": i, "odd": bool(i % 2)} for i in range(300)])
            index.remove(where={"n": {"$gte": 250}})
            index.update([3, 4], [{"n": 300}, {"n": 301}])
            index.compact()
            for mode, options in (
                ("vector", {}),
                ("vector", {"where": {"odd": True, "n": {"$lt": 100}}}),
                ("vector", {"exact": True}),
                ("hybrid", {"keywords": ["cat 7", "mat", "on", "is", "the"]}),
            ):
                hits = index.search(queries, 10, mode=mode, **options)
                found[f"{dtype} {mode} {[*options]}"] = [[(hit.key, float(hit.score)) for hit in row] for row in hits]
            found[f"{dtype} keys"] = [entry.key for entry in index.get(range(300)) if entry is not None]
    print(json.dumps(found))
"""


def test_all_is_the_same_beside_it(artifact: Path, tmp_path: Path) -> None:
    engine = Path(simcse_engine.__file__).parents[1]
    said = {}
    for name, path in (("here", engine), ("oldest", f"{overlay(f'numpy=={OLDEST}')}{os.pathsep}{engine}")):
        (tmp_path / name).mkdir()
        release = OLDEST if name == "oldest" else ""
        said[name] = json.loads(run_script(WORK, artifact, tmp_path / name, release, PYTHONPATH=str(path)))
    assert said["oldest"] == said["here"]
