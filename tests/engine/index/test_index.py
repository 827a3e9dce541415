"""The index as its callers see it."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder, Hit, Index, TruncationWarning
from simcse_engine.errors import (
    ClosedError,
    IndexLockedError,
    IndexNotFoundError,
    InputTypeError,
    InputValueError,
    OutputError,
    SearchIndexError,
)
from simcse_engine.index.ann.graph import AnnGraph
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


def test_no_path() -> None:
    with pytest.raises(InputValueError, match="is no path"):
        Index.open("a\0b")


def test_it_is_there_when_opened_again(index: Index) -> None:
    index.add(TEXTS)
    before = index.search(["a cat"])
    index.close()
    for read_only in (True, False):
        with Index.open(index.folder, read_only=read_only) as again:
            assert len(again) == 4
            assert again.search(["a cat"]) == before
    assert index.folder.is_dir()


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


def test_an_encoder_that_cuts_elsewhere_makes_no_index(tmp_path: Path, artifact: Path) -> None:
    with Encoder(artifact, max_tokens=16) as encoder, pytest.raises(InputValueError, match="cuts at 16 tokens"):
        Index.create(tmp_path / "index", encoder)
    assert not (tmp_path / "index").exists()


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


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "i8"])
@pytest.mark.parametrize("read_only", [True, False])
def test_by_graph_as_exactly(tmp_path: Path, artifact: Path, dtype: str, read_only: bool) -> None:
    vectors = filled(tmp_path / "index", artifact, 400, dtype=dtype)
    queries = unit_vectors(30, 1)
    expected = nearest_keys(vectors, queries, 5)
    with Index(tmp_path / "index", limits=SMALL, read_only=read_only) as index:
        assert index.info().in_graph == 400
        assert keys_of(index.search(queries, exact=True)) == expected
        hits_by_query = index.search(queries)
        shared = [len({*keys} & {*nearest}) for keys, nearest in zip(keys_of(hits_by_query), expected, strict=True)]
        assert sum(shared) >= 0.98 * 5 * len(queries)
        exact = {(i, hit.key): hit.score for i, each in enumerate(index.search(queries, k=400)) for hit in each}
        assert all(exact[i, hit.key] == hit.score for i, each in enumerate(hits_by_query) for hit in each)
        assert keys_of(index.search(queries, exact=False)) == keys_of(hits_by_query)
        # One query is answered as many are.
        assert [index.search(queries[[i]])[0] for i in range(5)] == hits_by_query[:5]


def test_b1(tmp_path: Path, artifact: Path) -> None:
    vectors = filled(tmp_path / "index", artifact, 400, dtype="b1")
    with Index.open(tmp_path / "index", read_only=True) as index:
        hits_by_query = keys_of(index.search(vectors, k=1, exact=False))
        assert sum(keys == [i] for i, keys in enumerate(hits_by_query)) > 390


def test_what_the_graph_lacks_is_found(tmp_path: Path, artifact: Path) -> None:
    vectors = filled(tmp_path / "index", artifact, 200)
    more = unit_vectors(10, 5)
    with Index(tmp_path / "index", limits=SMALL) as index:
        index.add_vectors(more, names(10, 200))
        assert index.info().in_graph == 200
        assert [each[0].key for each in index.search(more, exact=False)] == [*range(200, 210)]
        index.remove([0, 205])
        index.add_vectors(more[:1], ["other"], keys=[7])
        hits_by_query = index.search(np.concatenate([vectors[:1], more[5:6], vectors[7:8], more[:1]]), k=2, exact=False)
        assert 0 not in keys_of(hits_by_query)[0]
        assert 205 not in keys_of(hits_by_query)[1]
        assert 7 not in keys_of(hits_by_query)[2]
        assert keys_of(hits_by_query)[3] == [7, 200]


def test_many_dead_in_the_graph(tmp_path: Path, artifact: Path) -> None:
    vectors = filled(tmp_path / "index", artifact, 400)
    with Index(tmp_path / "index", limits=SMALL) as index:
        index.remove([i for i in range(400) if i % 4])
        left = np.arange(0, 400, 4)
        queries = unit_vectors(20, 1)
        expected = [left[keys].tolist() for keys in nearest_keys(vectors[left], queries, 5)]
        assert keys_of(index.search(queries)) == expected
        assert keys_of(index.search(queries, exact=False)) == expected
        # Then it is built again without them.
        index.checkpoint()
        index.add_vectors(unit_vectors(25, 9), names(25, 1000))
        assert len(index._views.ann) < 200  # type: ignore[arg-type]
        assert [each[0].key for each in index.search(vectors[left], k=1)] == left.tolist()


def test_strays_are_found_once(tmp_path: Path, artifact: Path) -> None:
    """Rows that the graph holds, but does not find, are scanned; if it does find them, they are no second hit."""
    vectors = filled(tmp_path / "index", artifact, 400)
    with Index(tmp_path / "index", limits=SMALL) as index:
        index.search(vectors[:1])
        graph = AnnGraph(index._views.ann.scheme)  # type: ignore[union-attr]
        rows = np.array([i for i in range(400) if i not in (17, 300)])
        graph.add(rows, vectors[rows], covered=400, threads=1)
        graph.strays = np.array([17, 300, 5, 6])
        with index._store.reading() as reader:
            index._views.adopt(graph, reader.state())
        index.remove([300])
        hits = index.search(vectors, k=3, exact=False)
        assert hits == index.search(vectors, k=3, exact=True)


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


def test_growth_saves_the_graph_now_and_then(tmp_path: Path, artifact: Path) -> None:
    vectors = unit_vectors(300)
    Index.create(tmp_path / "index", artifact).close()
    covered = []
    with Index(tmp_path / "index", limits=SMALL) as index:
        for start in range(0, 300, 10):
            index.add_vectors(vectors[start : start + 10], names(10, start))
            covered.append(index.info().in_graph)
            assert index.search(vectors[[0, start]], k=1, exact=False)[1][0].key == start
    assert covered[4] == 0
    assert covered[-1] > 200
    assert 4 < len(set(covered)) < 15
    assert covered == sorted(covered)
    assert len(list((tmp_path / "index").glob("graph-*"))) == 1


def test_small_indexes_have_no_graph(index: Index) -> None:
    index.add_vectors(unit_vectors(50), names(50))
    index.checkpoint()
    assert index.info().in_graph == 0
    assert index.search(unit_vectors(1), k=1, exact=False)[0][0].key == 0


def test_create_refuses_what_is_there(tmp_path: Path, artifact: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    (tmp_path / "file").touch()
    for name in ("full", "file"):
        with pytest.raises(OutputError):
            Index.create(tmp_path / name, artifact)
    with pytest.raises(InputValueError, match="choose 'i8', 'f32', 'f16'"):
        Index.create(tmp_path / "new", artifact, dtype="float16")
    with pytest.raises(InputTypeError):
        Index.create(5, artifact)  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    Index.create(str(tmp_path / "empty"), str(artifact)).close()


def test_open_refuses_what_is_not_there(tmp_path: Path, artifact: Path) -> None:
    with pytest.raises(IndexNotFoundError, match=r"does not exist; Index\.create"):
        Index.open(tmp_path / "none")
    with pytest.raises(IndexNotFoundError, match="no index"):
        Index.open(artifact)
    with pytest.raises(IndexNotFoundError, match="is a file"):
        Index.open(artifact / "manifest.json")


def test_one_writer_many_readers(index: Index) -> None:
    index.add(TEXTS)
    with pytest.raises(IndexLockedError, match="open for writing since"):
        Index.open(index.folder, read_only=False)
    with Index.open(index.folder, read_only=True) as one, Index.open(index.folder, read_only=True) as two:
        index.add(["later"], keys=[50])
        for reader in (one, two):
            assert reader.search(["later"], k=1)[0][0].key == 50
            for write in (
                lambda r=reader: r.add(["x"]),
                lambda r=reader: r.remove([1]),
                reader.compact,
                reader.checkpoint,
            ):
                with pytest.raises(SearchIndexError, match="read_only=True"):
                    write()
    index.close()
    Index.open(index.folder).close()


@pytest.mark.parametrize("used", [True, False])
def test_closed(index: Index, used: bool) -> None:
    if used:
        index.add(TEXTS)
    index.close()
    index.close()
    for use in (
        lambda: index.add(["x"]),
        lambda: index.search(["x"]),
        lambda: index.get([1]),
        index.compact,
        lambda: len(index),
    ):
        with pytest.raises(ClosedError, match="this index is closed"):
            use()


def test_an_encoder_of_the_caller_s_stays_open(tmp_path: Path, artifact: Path) -> None:
    with Encoder(artifact) as encoder:
        with Index.create(tmp_path / "index", encoder) as index:
            index.add(TEXTS)
        assert encoder.encode(["a"]).shape == (1, DIMENSION)
        with Index.open(tmp_path / "index", artifact=encoder) as index:
            assert index.search(TEXTS[:1], k=1)[0][0].score == 1.0
        assert encoder.encode(["a"]).shape == (1, DIMENSION)


def test_threads(tmp_path: Path, artifact: Path) -> None:
    filled(tmp_path / "index", artifact, 100)
    vectors = unit_vectors(200, 7)
    errors: list[BaseException] = []
    with Index(tmp_path / "index", limits=SMALL) as index:
        done = threading.Event()

        def write(part: int) -> None:
            try:
                for i in range(part, 200, 2):
                    index.add_vectors(vectors[[i]], [f"new {i}"], keys=[1000 + i])
                    assert index.search(vectors[[i]], k=1)[0][0].key == 1000 + i
                    if i % 50 == part:
                        index.remove([1000 + i])
            except BaseException as error:
                errors.append(error)

        def read() -> None:
            try:
                while not done.is_set():
                    for hits in index.search(vectors[:20], k=3, where={"n": {"$gte": 50}}):
                        assert all(hit.metadata["n"] >= 50 for hit in hits)  # type: ignore[index]
                    assert len(index.search(vectors[:3])) == 3
            except BaseException as error:
                errors.append(error)

        writers = [threading.Thread(target=write, args=(part,)) for part in (0, 1)]
        readers = [threading.Thread(target=read) for _ in range(2)]
        for thread in [*writers, *readers]:
            thread.start()
        for thread in writers:
            thread.join()
        index.compact()
        done.set()
        for thread in readers:
            thread.join()
        assert not errors
        assert len(index) == 100 + 200 - 8


def test_full_disk(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add(TEXTS)
    with monkeypatch.context() as patch:

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        patch.setattr("simcse_engine.index.storage.vectors.os.pwrite", full)
        with pytest.raises(OutputError, match="disk is full"):
            index.add(["more"])
    writer = index._store._writer
    assert writer is not None
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutputError, match="disk is full"):
        index.add(["x" * 20] * 5, metadata=[{"long": "y" * 5000}] * 5)
    writer.execute("PRAGMA max_page_count = 1000000")
    assert len(index) == 4
    index.add(["more"])
    assert index.search(["more"], k=1)[0][0][:2] == (4, 1.0)


def test_another_program_holds_the_database(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simcse_engine.index.storage.connections.BUSY_SECONDS", 0.05)
    other = sqlite3.connect(index.folder / "index.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(IndexLockedError, match="another program"):
        index.add(TEXTS)
    other.execute("ROLLBACK")
    other.close()
    index.add(TEXTS)


def test_info(tmp_path: Path, artifact: Path) -> None:
    filled(tmp_path / "index", artifact, 100, dtype="i8")
    with Index.open(tmp_path / "index", read_only=True) as index:
        info = index.info()
        assert (info.entries, info.dead, info.in_graph, info.about.dtype) == (100, 0, 100, "i8")
        assert info.size_bytes == sum(path.stat().st_size for path in index.folder.iterdir())
        assert info.about.artifact == str(artifact)
        assert repr(index) == f"<Index {str(index.folder)!r}: dimension 32, i8, artifact {str(artifact)!r}>"
