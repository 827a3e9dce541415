"""Hits are plain tuples with all that an entry has, whatever stood in the database."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Hit, Index
from simcse_engine.errors import IndexDamagedError
from simcse_engine.index.storage.records import Columns
from support.indexes import names, unit_vectors

METADATA = [{"n": 0, "tags": ["a", None]}, None, {"n": 2**70, "é": "\0"}, {}, {"deep": {"er": [1.5, True]}}]


@pytest.fixture
def hits(tmp_path: Path, artifact: Path) -> list[list[Hit]]:
    vectors = unit_vectors(len(METADATA))
    with Index.create(tmp_path / "index", artifact) as index:
        index.add_vectors(vectors, names(len(METADATA)), metadata=METADATA)
        return index.search(np.concatenate([vectors, vectors]), k=len(METADATA))


def test_hits_are_tuples_of_named_fields(hits: list[list[Hit]]) -> None:
    for number, metadata in enumerate(METADATA):
        hit = hits[number][0]
        key, score, text, document = hit
        assert (key, text, document) == (number, names(len(METADATA))[number], metadata)
        assert score == hit.score == hit[1] == 1.0
        assert hit == Hit(key, score, text, metadata) == pickle.loads(pickle.dumps(hit)) == copy.deepcopy(hit)
        assert isinstance(hit, tuple)
        assert hit._asdict() == {"key": key, "score": score, "text": text, "metadata": metadata}
        assert json.loads(json.dumps(hit)) == [key, score, text, metadata]
        assert repr(hit).startswith(f"Hit(key={key}, score=1.0, text=")


def test_each_hit_has_metadata_of_its_own(hits: list[list[Hit]]) -> None:
    first, again = hits[0][0], hits[len(METADATA)][0]
    assert first == again
    assert first.metadata is not None
    first.metadata["n"] = "changed"
    assert again.metadata == METADATA[0]


@pytest.mark.parametrize("wrong", ["{", "", "nul", "[" * 100_000])
def test_metadata_that_are_no_json_are_told_with_their_key(wrong: str) -> None:
    columns = Columns((0, 1, 2), (7, 8, 9), ("a", "b", "c"), ('{"n": 1}', wrong, None))
    with pytest.raises(IndexDamagedError, match="entry with key 8 are no JSON"):
        columns.documents()


def test_metadata_never_move_to_another_entry() -> None:
    """Two documents in one place, as no index writes them: read together they would be three."""
    assert Columns((0, 1), (7, 8), ("a", "b"), ("{}, {}", '{"n": 1}')).documents() == [{}, {"n": 1}]
