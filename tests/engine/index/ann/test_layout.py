"""Whatever USearch would crash on is refused before it sees it, even where the digests fit."""

import dataclasses
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simcse_engine.errors import IndexDamagedError
from simcse_engine.index.ann.graph import AnnGraph
from simcse_engine.index.ann.saved import SavedGraph, pieces_of
from simcse_engine.index.ann.scheme import CANDIDATES_PER_HIT, Scheme
from support.child import run_script
from support.indexes import unit_vectors

ROWS, DIMENSION = 600, 32
SCHEME = Scheme(dimension=DIMENSION, dtype="f16")
# Where the parts of the file begin.
HEAD = 8 + ROWS * 2 * DIMENSION
GRAPH = HEAD + 64
LEVELS = GRAPH + 40
NODES = LEVELS + 2 * ROWS


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[SavedGraph, bytes]:
    folder = tmp_path_factory.mktemp("graph")
    graph = AnnGraph(SCHEME)
    graph.add(np.arange(ROWS), unit_vectors(ROWS), covered=ROWS, threads=1)
    return graph.save(folder, "graph", threads=1), (folder / "graph").read_bytes()


def open_as_saved(folder: Path, record: SavedGraph, content: bytes) -> AnnGraph:
    """Open a file with other content, of which the record has been made to speak."""
    (folder / "graph").write_bytes(content)
    pieces = pieces_of(memoryview(content), 1)
    record = dataclasses.replace(record, size_bytes=len(content), pieces=pieces)
    return AnnGraph.open(folder, record, SCHEME, threads=1)


def upper_node(content: bytes) -> tuple[int, int]:
    """Where the first node with a level above 0 begins, and which one it is."""
    levels = np.frombuffer(content, "<i2", ROWS, LEVELS)
    node = int(np.flatnonzero(levels)[0])
    return NODES + node * (10 + 4 + 4 * 64), node


def test_what_was_saved_is_opened(tmp_path: Path, saved: tuple[SavedGraph, bytes]) -> None:
    assert len(open_as_saved(tmp_path, *saved)) == ROWS


@pytest.mark.parametrize("dtype", CANDIDATES_PER_HIT)
@pytest.mark.parametrize("rows", [0, 1, 2, 130])
def test_every_size_and_dtype(tmp_path: Path, dtype: str, rows: int) -> None:
    graph = AnnGraph(Scheme(dimension=33, dtype=dtype))
    graph.add(np.arange(rows), unit_vectors(rows, dimension=33), covered=rows, threads=1)
    record = graph.save(tmp_path, "graph", threads=1)
    assert len(AnnGraph.open(tmp_path, record, graph.scheme, threads=1)) == rows


@pytest.mark.parametrize(
    ("at", "layout", "value", "message"),
    [
        (0, "<I", ROWS + 1, "vectors"),
        (4, "<I", 2 * DIMENSION + 2, "vectors"),
        (HEAD, "<B", 0, "head"),
        (HEAD + 13, "<B", 106, "head"),  # the metric
        (HEAD + 14, "<B", 11, "head"),  # numbers of another size
        (HEAD + 17, "<Q", ROWS - 1, "head"),  # present
        (HEAD + 25, "<Q", 1, "head"),  # deleted
        (HEAD + 33, "<Q", 2**63, "head"),  # the dimension
        (HEAD + 41, "<B", 1, "head"),  # several vectors per key
        (GRAPH, "<Q", 2**60, "graph"),
        (GRAPH + 8, "<Q", 33, "graph"),
        (GRAPH + 16, "<Q", 2**32, "graph"),
        (GRAPH + 24, "<Q", 2**40, "levels"),
        (GRAPH + 32, "<Q", ROWS, "levels"),
        (LEVELS, "<h", -1, "levels"),
        (LEVELS, "<h", 3000, "levels"),
        (LEVELS, "<h", 1, r"[0-9,]+ bytes, not"),
        (NODES, "<Q", ROWS, "keys of no row"),
        (NODES, "<Q", 2**64 - 1, "keys of no row"),
        (NODES, "<Q", 1, "a key twice"),
        (NODES + 8, "<h", 1, "nodes of another level"),
        (NODES + 10, "<I", 65, "neighbours that are not there"),
        (NODES + 10, "<I", 2**32 - 1, "neighbours that are not there"),
        (NODES + 14, "<I", ROWS, "neighbours that are not there"),
    ],
)
def test_refused(
    tmp_path: Path, saved: tuple[SavedGraph, bytes], at: int, layout: str, value: int, message: str
) -> None:
    record, good = saved
    content = bytearray(good)
    struct.pack_into(layout, content, at, value)
    with pytest.raises(IndexDamagedError, match=rf"graph: is no graph of this index \(({message})"):
        open_as_saved(tmp_path, record, bytes(content))


def test_a_neighbour_of_a_lower_level(tmp_path: Path, saved: tuple[SavedGraph, bytes]) -> None:
    """Its list at that level would be the next node's first bytes."""
    record, good = saved
    start, node = upper_node(good)
    content = bytearray(good)
    at = start + 10 + 4 + 4 * 64
    struct.pack_into("<II", content, at, 1, 0 if node else 1)
    with pytest.raises(IndexDamagedError, match="neighbours of a lower level"):
        open_as_saved(tmp_path, record, bytes(content))


@pytest.mark.parametrize(
    "change",
    [
        lambda good: good[:0],
        lambda good: good[:7],
        lambda good: good[:-1],
        lambda good: good + b"\0",
        lambda good: good[:LEVELS],
    ],
)
def test_another_size(tmp_path: Path, saved: tuple[SavedGraph, bytes], change: Callable[[bytes], bytes]) -> None:
    record, good = saved
    with pytest.raises(IndexDamagedError, match="no graph of this index"):
        open_as_saved(tmp_path, record, change(good))


def test_no_alteration_crashes(tmp_path: Path, saved: tuple[SavedGraph, bytes]) -> None:
    """Bytes anywhere are altered, and the record with them. In a process of its own, as a crash ends it."""
    (tmp_path / "good").write_bytes(saved[1])
    script = """
        import dataclasses, random, sys
        from pathlib import Path
        import numpy as np
        from simcse_engine.errors import IndexDamagedError
        from simcse_engine.index.ann.saved import SavedGraph, pieces_of
        from simcse_engine.index.ann.scheme import Scheme
        from simcse_engine.index.ann.graph import AnnGraph
        folder, record, begin = Path(sys.argv[1]), SavedGraph.from_json(sys.argv[2]), int(sys.argv[3])
        good = (folder / "good").read_bytes()
        vectors = np.random.default_rng(0).standard_normal((20, 32)).astype(np.float32)
        refused = 0
        for seed in range(200):
            draw = random.Random(seed)
            content = bytearray(good)
            for _ in range(draw.choice([1, 3, 100])):
                content[draw.randrange(begin if seed % 10 else 0, len(good))] = draw.randrange(256)
            (folder / "graph").write_bytes(content)
            record = dataclasses.replace(record, pieces=pieces_of(memoryview(bytes(content)), 1))
            try:
                graph = AnnGraph.open(folder, record, Scheme(dimension=32, dtype="f16"), threads=1)
            except IndexDamagedError:
                refused += 1
                continue
            assert graph.search(vectors, 10, threads=1)[0].max() < 600
            graph.add(np.arange(600, 620), vectors, covered=620, threads=1)
            graph.search(vectors, 10, threads=1)
        print(refused)
    """
    assert 50 < int(run_script(script, tmp_path, saved[0].to_json(), HEAD)) < 200
