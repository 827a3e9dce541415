"""Entries that stay in memory, against the database's."""

from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Index
from simcse_engine.index.limits import SearchLimits
from support.indexes import names, unit_vectors

METADATA = [{"n": n, "tags": [n, {"deep": n}]} if n % 3 else ({"n": n} if n % 2 else None) for n in range(40)]


def found(index: Index, vectors: np.ndarray) -> list[tuple[int, str, object]]:
    return [(hits[0].key, hits[0].text, hits[0].metadata) for hits in index.search(vectors, k=3)]


@pytest.mark.parametrize("most_bytes", [0, 3000, 1 << 20])
def test_hits_are_the_databases_however_often_they_were_found(tmp_path: Path, artifact: Path, most_bytes: int) -> None:
    vectors, texts = unit_vectors(40), names(40)
    with Index.create(tmp_path / "index", artifact):
        pass
    with Index(tmp_path / "index", limits=SearchLimits(known_bytes=most_bytes)) as index:
        index.add_vectors(vectors, texts, metadata=METADATA)
        expected = list(zip(range(40), texts, METADATA, strict=True))
        for part in (slice(0, 10), slice(5, 30), slice(None), slice(None)):
            assert found(index, vectors[part]) == expected[part]
        known = index._searcher._known
        assert sum(entry.size for entry in known._entries.values()) <= most_bytes
        assert len(known._entries) == 40 or most_bytes < 40_000
        # What an entry is changed to is found, and nothing of what it was.
        index.add_vectors(vectors[7:9], ["new", "newer"], keys=[7, 8], metadata=[{"n": -7}, None])
        expected[7:9] = [(7, "new", {"n": -7}), (8, "newer", None)]
        assert found(index, vectors) == expected
        # Rows are others after a compaction.
        index.remove(range(20, 30))
        index.compact()
        left = [*range(20), *range(30, 40)]
        assert found(index, vectors[left]) == [expected[n] for n in left]


def test_no_search_sees_what_a_caller_did_to_the_metadata_of_another(tmp_path: Path, artifact: Path) -> None:
    vectors = unit_vectors(40)
    with Index.create(tmp_path / "index", artifact) as index:
        index.add_vectors(vectors, names(40), metadata=METADATA)
        for _ in range(3):
            for number, hits in enumerate(index.search(vectors, k=1)):
                metadata = hits[0].metadata
                assert metadata == METADATA[number]
                if metadata is not None:
                    metadata["n"] = "changed"
                    metadata.get("tags", [None, {}])[1]["deep"] = "changed"
                    metadata.clear()
