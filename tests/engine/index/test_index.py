"""What is added to an index, searched for and removed, as its callers see it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder, Hit, Index, TruncationWarning
from simcse_engine.errors import (
    InputTypeError,
    InputValueError,
)
from simcse_engine.index.storage.records import Entry
from support.indexes import DIMENSION, SMALL, filled, names, nearest_keys, unit_vectors

TEXTS = ["a man plays a guitar", "the cat is on the mat", "a woman runs", "music"]


@pytest.fixture
def index(tmp_path: Path, artifact: Path) -> Iterator[Index]:
    Index.create(tmp_path / "index", artifact).close()
    with Index(tmp_path / "index", limits=SMALL) as opened:
        yield opened


def keys_of(hits: list[list[Hit]]) -> list[list[int]]:
    return [[hit.key for hit in each] for each in hits]


def test_from_texts_to_hits(index: Index, artifact: Path) -> None:
    assert index.add(TEXTS, metadata=[{"n": i} for i in range(4)]) == [0, 1, 2, 3]
    assert len(index) == 4
    hits = index.search(TEXTS[:2], k=3)
    with Encoder(artifact) as encoder:
        vectors = encoder.encode(TEXTS)
    assert keys_of(hits) == nearest_keys(vectors, vectors[:2], 3)
    assert hits[0][0] == Hit(0, 1.0, TEXTS[0], {"n": 0})
    scores = [hit.score for hit in hits[0]]
    np.testing.assert_allclose(scores, np.sort(vectors @ vectors[0])[::-1][:3], atol=1e-6)
    assert all(isinstance(hit.score, float) and isinstance(hit.key, int) for hit in hits[0])


def test_keys_and_metadata(index: Index) -> None:
    assert index.add(["a", "b"], keys=[2**64 - 2, 7], metadata=[None, {"x": [1, {"y": None}]}]) == [2**64 - 2, 7]
    assert index.get([7, 8, 2**64 - 2, 7]) == [
        Entry(7, "b", {"x": [1, {"y": None}]}),
        None,
        Entry(2**64 - 2, "a", None),
        Entry(7, "b", {"x": [1, {"y": None}]}),
    ]
    with pytest.raises(InputValueError, match="no larger key"):
        index.add(["c"])
    assert len(index) == 2


def test_automatic_keys_are_never_given_twice(index: Index) -> None:
    assert index.add(["a", "b"]) == [0, 1]
    assert index.add(["c"], keys=[10]) == [10]
    assert index.remove([10, 1]) == 2
    assert index.add(["d"]) == [11]
    index.compact()
    assert index.add(["e"]) == [12]


def test_upsert(index: Index) -> None:
    index.add(["one", "two"], keys=[1, 2], metadata=[{"v": 1}, {"v": 1}])
    index.add(["ten", "two"], keys=[1, 2])
    assert index.get([1, 2]) == [Entry(1, "ten", None), Entry(2, "two", None)]
    assert len(index) == 2
    assert index.search(["ten"], k=1)[0][0][:3] == (1, 1.0, "ten")
    assert "one" not in [hit.text for hit in index.search(["one"], k=5)[0]]
    assert index.search(["two"], k=1)[0][0].score == 1.0


def test_what_stands_there_is_not_encoded_again(index: Index, streamed: list[str]) -> None:
    texts = names(50)
    index.add(texts[:30], keys=range(30))
    streamed.clear()
    done: list[int] = []
    encoded: list[int] = []
    callbacks = {"progress": done.append, "encoded": encoded.append}
    assert index.add(texts, keys=range(50), metadata=[{"n": i} for i in range(50)], **callbacks) == [*range(50)]
    assert streamed == texts[30:]
    assert encoded == [30, 20]
    assert sum(done) == 50
    assert len(done) == 4
    assert index.get([3, 40]) == [Entry(3, "text 3", {"n": 3}), Entry(40, "text 40", {"n": 40})]
    for key in (3, 40):
        assert index.search([f"text {key}"], k=1)[0][0][:2] == (key, 1.0)
    rows = index.info().entries + index.info().dead
    index.add(texts, keys=range(50), metadata=[{"n": i} for i in range(50)])
    assert index.info().entries + index.info().dead == rows


def test_what_was_removed_meanwhile_is_encoded_after_all(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add(["one", "two"], keys=[1, 2])
    known = index._writing.writer().known

    def known_then_gone(*arguments: Any) -> Any:
        hits_by_query = known(*arguments)
        index.remove([1])
        return hits_by_query

    monkeypatch.setattr(index._writing.writer(), "known", known_then_gone)
    index.add(["one", "two", "three"], keys=[1, 2, 3])
    assert index.search(["one"], k=1)[0][0][:2] == (1, 1.0)
    assert len(index) == 3


def test_interrupted_and_resumed(index: Index) -> None:
    texts = names(60)

    def stop(_: int) -> None:
        if len(index) >= 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.add(texts, keys=range(60), progress=stop)
    assert len(index) == 32
    index.add(texts, keys=range(60))
    assert len(index) == 60
    assert index.search(["text 59"], k=1)[0][0].key == 59


def test_remove(index: Index) -> None:
    index.add(TEXTS)
    assert index.remove([1, 99, 1]) == 1
    assert index.remove([]) == 0
    assert index.get([1]) == [None]
    assert len(index) == 3
    assert 1 not in keys_of(index.search(TEXTS, k=10))[1]
    assert index.info().dead == 1


def test_nothing_in_nothing_out(index: Index) -> None:
    assert index.add([]) == []
    assert index.add_vectors(np.empty((0, DIMENSION), np.float32), []) == []
    assert index.search([]) == []
    assert index.search(np.empty((0, DIMENSION))) == []
    assert index.search(["a", "b"]) == [[], []]
    assert index.search(["a"], where={"n": 1}) == [[]]
    assert index.get([]) == []
    index.compact()
    index.checkpoint()
    assert len(index) == 0


def test_empty_and_odd_texts(index: Index) -> None:
    texts = ["", " ", "\0", "a\0b", "\n", "漢字", "😀", "'; DROP TABLE entries; --", "a man " * 500]
    with pytest.warns(TruncationWarning, match="1 of 9"):
        keys = index.add(texts)
    assert [entry.text for entry in index.get(keys) if entry] == texts


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"texts": "abc"}, InputTypeError),
        ({"texts": None}, InputTypeError),
        ({"texts": ["a", 5]}, InputTypeError),
        ({"texts": ["a", "\ud800"]}, InputValueError),
        ({"texts": ["a"], "keys": [1, 2]}, InputValueError),
        ({"texts": ["a", "b"], "keys": [1, 1]}, InputValueError),
        ({"texts": ["a"], "keys": [-1]}, InputValueError),
        ({"texts": ["a"], "metadata": [{"x": {1, 2}}]}, InputTypeError),
        ({"texts": ["a"], "metadata": [{}, {}]}, InputValueError),
    ],
)
def test_bad_additions_add_nothing(index: Index, arguments: dict[str, Any], error: type[Exception]) -> None:
    index.add(TEXTS)
    with pytest.raises(error):
        index.add(**arguments)
    assert len(index) == 4
    count = len(arguments["texts"]) if isinstance(arguments["texts"], list) else 1
    with pytest.raises(error):
        index.add_vectors(unit_vectors(count), **arguments)
    assert len(index) == 4


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"queries": "abc"}, InputTypeError),
        ({"queries": [5]}, InputTypeError),
        ({"queries": ["\ud800"]}, InputValueError),
        ({"queries": ["a"], "k": 0}, InputValueError),
        ({"queries": ["a"], "k": "5"}, InputTypeError),
        ({"queries": ["a"], "k": None}, InputTypeError),
        ({"queries": ["a"], "threshold": "x"}, InputTypeError),
        ({"queries": ["a"], "where": "x"}, InputTypeError),
        ({"queries": ["a"], "where": {"x": {"$near": 1}}}, InputValueError),
        ({"queries": ["a"], "exact": 1}, InputTypeError),
        ({"queries": np.zeros((1, DIMENSION))}, InputValueError),
        ({"queries": np.ones(DIMENSION)}, InputValueError),
    ],
)
def test_bad_searches(index: Index, arguments: dict[str, Any], error: type[Exception]) -> None:
    index.add(TEXTS)
    with pytest.raises(error):
        index.search(**arguments)


def test_vectors_of_the_caller_s(index: Index) -> None:
    vectors = unit_vectors(20)
    assert index.add_vectors(3 * vectors, names(20), keys=range(100, 120)) == [*range(100, 120)]
    hits = index.search(vectors[:3] * 7, k=2)
    assert [each[0].key for each in hits] == [100, 101, 102]
    assert hits[0][0].score == pytest.approx(1, abs=1e-6)
    assert keys_of(hits) == [[100 + key for key in keys] for keys in nearest_keys(vectors, vectors[:3], 2)]


def test_equal_scores_by_key(index: Index) -> None:
    one = unit_vectors(1)
    keys = np.random.default_rng(0).permutation(60).tolist()
    index.add_vectors(np.repeat(one, 60, axis=0), names(60), keys=[*keys[:-1], 2**63 + 5])
    expected = sorted([*keys[:-1], 2**63 + 5])
    assert keys_of(index.search(one, k=10, exact=True)) == [expected[:10]]
    assert keys_of(index.search(one, k=100)) == [expected]


def test_texts_count_by_position(index: Index) -> None:
    class Labelled(list):
        """As a pandas Series whose labels are in another order."""

        def __getitem__(self, at):
            return super().__getitem__(-1 - at) if isinstance(at, int) else super().__getitem__(at)

    index.add(Labelled(["a", "b", "c"]), keys=[10, 11, 12])
    assert [entry.text for entry in index.get([10, 11, 12])] == ["a", "b", "c"]


def test_metadata_are_each_hit_s_own(index: Index) -> None:
    index.add(["a"], metadata=[{"tags": ["x"]}])
    (one,), (other,) = index.search(["a", "a"], k=1)
    one.metadata["tags"].append("y")
    assert other.metadata == {"tags": ["x"]}


def test_threshold(index: Index) -> None:
    vectors = unit_vectors(40)
    index.add_vectors(vectors, names(40))
    hits = index.search(vectors[:1], k=40)[0]
    assert len(hits) == 40
    at = hits[4].score
    assert index.search(vectors[:1], k=40, threshold=at) == [hits[:5]]
    assert index.search(vectors[:1], k=40, threshold=1.5) == [[]]
    assert index.search(vectors[:1], k=2, threshold=-1) == [hits[:2]]


def test_where(tmp_path: Path, artifact: Path) -> None:
    vectors = filled(tmp_path / "index", artifact, 400)
    queries = unit_vectors(20, 1)
    with Index(tmp_path / "index", limits=SMALL) as index:
        for low in (0, 100, 300, 360, 399, 400):  # by graph, by graph asking for more, by scan
            rows = np.arange(low, 400)
            expected = [rows[keys].tolist() for keys in nearest_keys(vectors[rows], queries, 5)]
            for exact in (None, True, False):
                assert keys_of(index.search(queries, where={"n": {"$gte": low}}, exact=exact)) == expected
        # Remembered filters see what came and went since.
        index.remove([399])
        index.add_vectors(queries[:1], ["new"], keys=[9], metadata=[{"n": 500}])
        hits = index.search(queries[:1], k=3, where={"n": {"$gte": 360}})[0]
        assert hits[0] == Hit(9, 1.0, "new", {"n": 500})
        assert all(hit.key != 399 for hit in index.search(queries[:1], k=400, where={"n": {"$gte": 360}})[0])
        assert index.search(queries[:1], where={"n": 9}) == [[]]
        assert len(index._searcher._masks._masks) <= SMALL.masks


def test_a_filter_on_a_hash_finds_no_neighbour(index: Index) -> None:
    hashes = [2**63 + 1, 2**63 + 2, -(2**63), -(2**63) - 1, 2**64 - 1]
    documents: list[dict[str, Any]] = [*({"id": number} for number in hashes), {"id": "a"}, {"id": "a\0b"}]
    index.add_vectors(unit_vectors(len(documents)), names(len(documents)), metadata=documents)
    for document in documents:
        (hits,) = index.search(unit_vectors(1), k=9, where=document)
        assert [hit.metadata for hit in hits] == [document]


def test_compact(tmp_path: Path, artifact: Path) -> None:
    vectors = filled(tmp_path / "index", artifact, 300)
    queries = unit_vectors(10, 1)
    with Index(tmp_path / "index", limits=SMALL) as index, Index.open(tmp_path / "index", read_only=True) as reader:
        index.remove(range(0, 300, 3))
        before, size = index.search(queries, k=10, exact=True), index.info().size_bytes
        assert reader.search(queries, k=10, exact=True) == before
        old = {path.name for path in index.folder.iterdir() if path.suffix in (".f32", ".usearch")}
        index.compact()
        assert index.info().dead == 0
        assert index.info().in_graph == len(index) == 200
        assert index.info().size_bytes < size
        new = {path.name for path in index.folder.iterdir() if path.suffix in (".f32", ".usearch")}
        assert len(new) == 2
        assert not old & new
        for each in (index, reader):
            assert each.search(queries, k=10, exact=True) == before
            assert [hits[0].key for hits in each.search(vectors[[1, 2]], where={"n": {"$lt": 5}})] == [1, 2]
        index.add_vectors(queries, names(10, 300))
        assert reader.search(queries[:1], k=1)[0][0].key == 300
        index.compact()
        assert reader.search(queries[:1], k=1)[0][0].key == 300
