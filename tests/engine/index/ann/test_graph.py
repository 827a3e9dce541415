"""The graph finds what is near, and is what was saved or an error."""

import dataclasses
import json
import math
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine.errors import IndexDamagedError, OutputError
from simcse_engine.index.ann.graph import AnnGraph
from simcse_engine.index.ann.saved import SavedGraph
from simcse_engine.index.ann.scheme import CANDIDATES_PER_HIT, Scheme
from support.child import run_script
from support.indexes import nearest_keys, unit_vectors

LEAST_RECALL = {"f32": 0.999, "f16": 0.999, "bf16": 0.99, "i8": 0.98, "b1": 0.5}


def graph_of(vectors: np.ndarray, dtype: str = "f16", threads: int = 2) -> AnnGraph:
    graph = AnnGraph(Scheme(dimension=vectors.shape[1], dtype=dtype))
    graph.add(np.arange(len(vectors)), vectors, covered=len(vectors), threads=threads)
    return graph


@pytest.mark.parametrize("dtype", CANDIDATES_PER_HIT)
@pytest.mark.parametrize("dimension", [32, 33])
def test_candidates_hold_the_nearest(tmp_path: Path, dtype: str, dimension: int) -> None:
    vectors, queries = unit_vectors(600, dimension=dimension), unit_vectors(40, 1, dimension)
    graph = graph_of(vectors, dtype)
    saved = graph.save(tmp_path, "graph", threads=2)
    count = graph.scheme.candidates(5)
    nearest = nearest_keys(vectors, queries, 5)
    for each in (graph, AnnGraph.open(tmp_path, saved, graph.scheme, threads=2)):
        assert (len(each), each.covered) == (600, 600)
        candidates, covered = each.search(queries, count, threads=2)
        assert covered == 600
        assert candidates.shape == (40, count)
        recall = np.mean(
            [len(set(row.tolist()) & set(keys)) / 5 for row, keys in zip(candidates, nearest, strict=True)]
        )
        assert recall >= LEAST_RECALL[dtype]
        # One query is asked for in another way.
        alone, _ = each.search(queries[:1], count, threads=2)
        assert alone.tolist() == candidates[:1].tolist()


def test_fewer_than_asked_for() -> None:
    vectors = unit_vectors(3)
    graph = graph_of(vectors)
    for queries in (vectors[:1], vectors):
        candidates, _ = graph.search(queries, 10, threads=1)
        assert [sorted(row) for row in candidates.tolist()] == [[0, 1, 2]] * len(queries)
    empty = AnnGraph(Scheme(dimension=32, dtype="f16"))
    assert empty.search(vectors, 10, threads=1)[0].shape == (3, 0)


def test_rows_need_not_be_dense() -> None:
    vectors = unit_vectors(4)
    graph = AnnGraph(Scheme(dimension=32, dtype="f16"))
    graph.add(np.array([5, 9, 2**40, 7]), vectors, covered=2**40 + 1, threads=1)
    assert graph.search(vectors, 1, threads=1)[0].ravel().tolist() == [5, 9, 2**40, 7]


def test_a_mapped_graph_grows(tmp_path: Path) -> None:
    vectors = unit_vectors(300)
    graph = graph_of(vectors[:200])
    saved = graph.save(tmp_path, "graph", threads=1)
    opened = AnnGraph.open(tmp_path, saved, graph.scheme, threads=1)
    opened.add(np.arange(200, 300), vectors[200:], covered=300, threads=2)
    assert (opened.covered, opened.saved_covered) == (300, 200)
    candidates, _ = opened.search(vectors, 1, threads=2)
    assert np.mean(candidates.ravel() == np.arange(300)) > 0.99
    again = opened.save(tmp_path, "graph-2", threads=1)
    assert (again.covered, again.members, opened.saved_covered) == (300, 300, 200)
    opened.saved_as(tmp_path, again)
    assert opened.saved_covered == 300
    assert len(AnnGraph.open(tmp_path, again, graph.scheme, threads=1)) == 300


def test_saved_comes_back_from_json(tmp_path: Path) -> None:
    saved = graph_of(unit_vectors(5)).save(tmp_path, "graph", threads=1)
    assert SavedGraph.from_json(saved.to_json()) == saved
    assert saved.size_bytes == (tmp_path / "graph").stat().st_size


def test_a_record_of_an_earlier_engine(tmp_path: Path) -> None:
    """It has CRC-32 in the place of digests, and the same pieces."""
    graph = graph_of(unit_vectors(60))
    saved = graph.save(tmp_path, "graph", threads=1)
    content = (tmp_path / "graph").read_bytes()
    earlier = SavedGraph.from_json(dataclasses.replace(saved, pieces=(zlib.crc32(content),)).to_json())
    assert len(AnnGraph.open(tmp_path, earlier, graph.scheme, threads=1)) == 60
    (tmp_path / "graph").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(IndexDamagedError, match="digest"):
        AnnGraph.open(tmp_path, earlier, graph.scheme, threads=1)


@pytest.mark.parametrize(
    "facts",
    [
        {"file": "../other/graph-1-00000000.usearch"},
        {"file": "/etc/passwd"},
        {"file": 5},
        {"size_bytes": "5"},
        {"pieces": None},
        {"covered": -1},
        {"members": 61},
        {"members": True},
        {"strays": [-1]},
        {"strays": ["1"]},
        {"strays": [2**70]},
        {"more": 1},
        {"scale": 1},
        {"scale": 0.0},
        {"scale": math.inf},
    ],
)
def test_a_record_that_no_engine_wrote(tmp_path: Path, facts: dict[str, object]) -> None:
    saved = graph_of(unit_vectors(60)).save(tmp_path, "graph", threads=1)
    with pytest.raises(IndexDamagedError, match="record of the graph is damaged"):
        SavedGraph.from_json(json.dumps({**json.loads(saved.to_json()), **facts}))


@pytest.mark.parametrize("text", ["", "5", "[]", "{}", "[" * 100_000])
def test_a_record_that_is_none(text: str) -> None:
    with pytest.raises(IndexDamagedError, match="record of the graph is damaged"):
        SavedGraph.from_json(text)


def test_what_is_not_what_was_saved_is_not_opened(tmp_path: Path) -> None:
    graph = graph_of(unit_vectors(60))
    saved = graph.save(tmp_path, "graph", threads=1)
    path = tmp_path / "graph"
    good = path.read_bytes()
    for position in range(0, len(good), 97):
        bad = bytearray(good)
        bad[position] ^= 1
        path.write_bytes(bad)
        with pytest.raises(IndexDamagedError, match="digest"):
            AnnGraph.open(tmp_path, saved, graph.scheme, threads=2)
    for size in (0, 1, 64, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:size])
        with pytest.raises(IndexDamagedError):
            AnnGraph.open(tmp_path, saved, graph.scheme, threads=2)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        AnnGraph.open(tmp_path, saved, graph.scheme, threads=2)


def test_another_scheme_s_graph_is_not_taken_over(tmp_path: Path) -> None:
    """USearch itself would take the file's dtype and dimension, and say nothing."""
    saved = graph_of(unit_vectors(60)).save(tmp_path, "graph", threads=1)
    for scheme in (
        Scheme(dimension=32, dtype="f32"),
        Scheme(dimension=31, dtype="f16"),
        Scheme(dimension=32, dtype="b1"),
    ):
        with pytest.raises(IndexDamagedError, match="no graph of this index"):
            AnnGraph.open(tmp_path, saved, scheme, threads=1)
    with pytest.raises(IndexDamagedError, match="no graph of this index"):
        AnnGraph.open(tmp_path, dataclasses.replace(saved, members=61), graph_of(unit_vectors(1)).scheme, threads=1)


def test_nothing_is_left_where_it_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        graph_of(unit_vectors(5)).save(tmp_path / "nowhere", "graph", threads=1)
    assert list(tmp_path.iterdir()) == []


def test_what_the_links_do_not_lead_to_is_known(tmp_path: Path) -> None:
    vectors = unit_vectors(3300)
    # On two, how many there are depends on when either has its turn.
    graph = graph_of(vectors[:3200], threads=1)
    assert len(graph.strays) < 10
    some = np.arange(3190, 3210)
    missed = graph._unreached(some, vectors[some], 2)
    assert {*range(3200, 3210)} <= {*missed.tolist()}
    graph.strays = missed
    saved = graph.save(tmp_path, "graph", threads=1)
    assert SavedGraph.from_json(saved.to_json()) == saved
    assert AnnGraph.open(tmp_path, saved, graph.scheme, threads=1).strays.tolist() == missed.tolist()


def test_searches_run_side_by_side(tmp_path: Path) -> None:
    """Threads find what one finds alone, and no two have a graph at a time."""
    vectors, queries = unit_vectors(3000), unit_vectors(60, 1)
    graph = graph_of(vectors, "i8")
    opened = AnnGraph.open(tmp_path, graph.save(tmp_path, "graph", threads=2), graph.scheme, threads=2)
    alone, _ = opened.search(queries, 20, threads=1)

    def search(first: int) -> list[np.ndarray]:
        return [opened.search(query[None], 20, threads=1)[0] for query in np.roll(queries, -first, axis=0)]

    for i, rows in enumerate(in_threads(4, search)):
        assert np.array_equal(np.concatenate(rows), np.roll(alone, -i, axis=0))


def test_searches_while_it_grows(tmp_path: Path) -> None:
    """Each finds the best of the rows that it says it has looked at."""
    vectors = unit_vectors(4000)
    graph = AnnGraph(Scheme(dimension=32, dtype="i8"))
    graph.add(np.arange(500), vectors[:500], covered=500, threads=2)
    graph.saved_as(tmp_path, graph.save(tmp_path, "graph", threads=2))
    ended = threading.Event()

    def search(_: int) -> list[int]:
        seen = []
        while not ended.is_set():
            candidates, covered = graph.search(vectors[:500], 3, threads=1)
            assert candidates.max() < 4000
            assert np.mean(candidates[:, 0] == np.arange(500)) > 0.99
            seen.append(covered)
        return seen

    def grow(_: int) -> list[int]:
        try:
            for start in range(500, 4000, 500):
                graph.add(np.arange(start, start + 500), vectors[start : start + 500], covered=start + 500, threads=2)
                if start == 2000:
                    graph.saved_as(tmp_path, graph.save(tmp_path, "graph-2", threads=2))
        finally:
            ended.set()
        return [graph.covered]

    *seen, grown = in_threads(4, lambda i: grow(i) if i == 3 else search(i))
    assert grown == [4000]
    assert {each for one in seen for each in one} <= set(range(500, 4001, 500))
    assert graph.saved_covered == 2500
    assert len(graph) == graph.covered == 4000


def in_threads(count: int, work: Callable[[int], list[Any]]) -> list[list[Any]]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def test_a_busy_graph_is_searched_as_it_was_saved(tmp_path: Path) -> None:
    vectors = unit_vectors(300)
    graph = graph_of(vectors[:200])
    graph.saved_as(tmp_path, graph.save(tmp_path, "graph", threads=1))
    graph.add(np.arange(200, 300), vectors[200:], covered=300, threads=1)
    with graph._taking_turn():
        rows, covered = graph.search(vectors[:5], 1, threads=1)
    assert (rows.ravel().tolist(), covered) == ([0, 1, 2, 3, 4], 200)
    rows, covered = graph.search(vectors[295:], 1, threads=1)
    assert (rows.ravel().tolist(), covered) == ([295, 296, 297, 298, 299], 300)


def test_an_i8_graph_keeps_its_scale(tmp_path: Path) -> None:
    """Also where later vectors have larger numbers than the first, and where it grows after it was opened."""
    vectors = unit_vectors(200)
    vectors[150:, 0] = 2.0
    graph = graph_of(vectors[:100], "i8")
    saved = graph.save(tmp_path, "graph", threads=1)
    assert saved.scale == pytest.approx(127 / (1.25 * np.abs(vectors[:100]).max()))
    opened = AnnGraph.open(tmp_path, saved, graph.scheme, threads=1)
    opened.add(np.arange(100, 200), vectors[100:], covered=200, threads=1)
    again = opened.save(tmp_path, "graph-2", threads=1)
    assert again.scale == saved.scale
    opened._saved = None  # so that it looks into its memory
    for each in (opened, AnnGraph.open(tmp_path, again, graph.scheme, threads=1)):
        rows, _ = each.search(vectors[100:150], 1, threads=1)
        assert rows.ravel().tolist() == [*range(100, 150)]


@pytest.mark.parametrize("factors", [{}, {3: 10.0, 20: 6.0}])
def test_i8_finds_what_floats_find_where_some_dimensions_stand_out(factors: dict[int, float]) -> None:
    vectors, queries = unit_vectors(2000, dimension=96), unit_vectors(100, 1, 96)
    for each in (vectors, queries):
        for dimension, factor in factors.items():
            each[:, dimension] *= factor
        each /= np.linalg.norm(each, axis=1, keepdims=True)
    nearest = nearest_keys(vectors, queries, 10)
    graph = graph_of(vectors, "i8")
    candidates, _ = graph.search(queries, graph.scheme.candidates(10), threads=2)
    assert np.mean([len({*row.tolist()} & {*keys}) / 10 for row, keys in zip(candidates, nearest, strict=True)]) > 0.98


def test_an_interruption_is_one() -> None:
    script = """
        import os, signal, threading
        import numpy as np
        from simcse_engine.index.ann.scheme import Scheme
        from simcse_engine.index.ann.graph import AnnGraph

        signal.signal(signal.SIGINT, signal.default_int_handler)
        vectors = np.random.default_rng(0).standard_normal((200_000, 64), dtype=np.float32)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            AnnGraph(Scheme(dimension=64, dtype="f32")).add(np.arange(200_000), vectors, covered=200_000, threads=2)
        except KeyboardInterrupt:
            print("interrupted")
    """
    assert run_script(script) == "interrupted\n"
