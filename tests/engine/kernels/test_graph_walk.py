"""The walk of an ANN graph finds what USearch finds, and reads nothing that is not there."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from support.graphs import DAMAGED, DONE, NO_MEMORY, UNKNOWN, File, graph_file, whole_numbers
from support.kernels import Kernels, by_turns
from support.lanes import variants

NODE_BYTES = 10


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> File:
    """Of some levels."""
    file = graph_file(tmp_path_factory.mktemp("graph"), 900, 40)
    assert file.nodes.top >= 2
    return file


@pytest.mark.parametrize("dimension", [1, 31, 64, 65, 130, 384])
def test_it_finds_what_usearch_finds(kernels: Kernels, tmp_path: Path, dimension: int) -> None:
    file = graph_file(tmp_path, 700, dimension, seed=dimension)
    queries = whole_numbers(25, dimension, seed=1000)
    expected = file.products(queries, file.graph.search(queries, 20, threads=1))
    for variant in variants(kernels):
        outcome, keys = file.walk(kernels, variant, queries, 20)
        assert outcome == DONE
        assert all(len({*row}) == 20 for row in keys.tolist())
        found = file.products(queries, keys)
        # Of one dimension, most are equals, of which either finds others.
        assert found.sum() >= expected.sum() if dimension == 1 else np.array_equal(found, expected)


@pytest.mark.parametrize(("rows", "connectivity"), [(1, 2), (2, 2), (3, 64), (130, 3), (200, 64)])
def test_graphs_of_every_size(kernels: Kernels, tmp_path: Path, rows: int, connectivity: int) -> None:
    file = graph_file(tmp_path, rows, 16, connectivity=connectivity)
    queries = whole_numbers(5, 16, seed=1)
    expected = file.graph.search(queries, min(10, rows), threads=1)
    for variant in by_turns(variants(kernels), rows):
        outcome, keys = file.walk(kernels, variant, queries, 10)
        assert outcome == DONE
        assert (keys[:, min(10, rows) :] == -1).all()
        assert np.array_equal(file.products(queries, keys[:, :rows]), file.products(queries, expected))


def test_it_looks_at_as_many_as_it_may(kernels: Kernels, file: File) -> None:
    queries = whole_numbers(10, 40, seed=2)
    exact = np.sort(queries.astype(np.int64) @ file.stored.T.astype(np.int64), axis=1)[:, ::-1]
    for width in (10, 40, 900, 5000):
        outcome, keys = file.walk(kernels, variants(kernels)[0], queries, 10, width=width)
        assert outcome == DONE
        found = file.products(queries, keys)
        assert (np.diff(found, axis=1) <= 0).all(), "nearest first"
        if width >= 900:
            assert np.array_equal(found, exact[:, :10])


def test_numbers_at_the_ends_of_their_range(kernels: Kernels, tmp_path: Path) -> None:
    """Also -128, which none of ours has and others' files may."""
    file = graph_file(tmp_path, 60, 384)
    content = file.content.copy()
    matrix = content[8 : 8 + 60 * 384].view(np.int8).reshape(60, 384)
    matrix[::2], matrix[1::4], matrix[3::8] = -128, 127, 0
    queries = np.array([[127] * 384, [-127] * 384, [127, -127] * 192], np.int8)
    for variant in variants(kernels):
        altered = dataclasses.replace(file, content=content, stored=matrix.copy())
        outcome, keys = altered.walk(kernels, variant, queries, 60)
        assert outcome == DONE
        products = altered.products(queries, keys)
        assert np.array_equal(products, -np.sort(-(queries.astype(np.int64) @ matrix.T.astype(np.int64)), axis=1))


@pytest.mark.parametrize("threads", [0, 1, 3, 8])
def test_threads_share_the_queries(kernels: Kernels, file: File, threads: int) -> None:
    queries = whole_numbers(300, 40, seed=3)
    variant = variants(kernels)[0]
    alone = np.concatenate([file.walk(kernels, variant, queries[i : i + 1], 7)[1] for i in range(0, 300, 30)])
    outcome, keys = file.walk(kernels, variant, queries, 7, threads=threads)
    assert outcome == DONE
    assert np.array_equal(keys[::30], alone)
    assert file.walk(kernels, variant, queries[:0], 7, threads=threads)[0] == DONE


def test_more_are_seen_than_are_noted(kernels: Kernels, tmp_path: Path) -> None:
    """A search that looks at nearly all of a larger graph leaves nothing to the next."""
    file = graph_file(tmp_path, 20_000, 4, connectivity=4)
    queries = whole_numbers(3, 4, seed=4)
    variant = variants(kernels)[0]
    outcome, keys = file.walk(kernels, variant, queries, 20, width=18_000)
    assert outcome == DONE
    assert np.array_equal(
        keys, np.concatenate([file.walk(kernels, variant, each[None], 20, width=18_000)[1] for each in queries])
    )


@pytest.mark.parametrize(
    ("place", "size"),
    [
        *((0, size) for size in (0, 2**31)),  # nodes
        *((1, size) for size in (0, 2**16 + 1)),  # dimension
        *((2, 129), (3, -1)),  # neighbours
        *((4, 900), (4, -1), (5, 2**40)),  # where it begins
        *((6, -1), (7, 0), (7, 2**40), (8, 65), (8, -1), (9, -1)),  # queries, width, wanted and keys
    ],
)
def test_sizes_that_cannot_be(kernels: Kernels, file: File, place: int, size: int) -> None:
    sizes, keys = file.sizes(1, 64, 5), np.zeros((1, 64), np.int64)
    sizes[place] = size
    arguments = (1, sizes, file.content, file.nodes.starts, whole_numbers(1, 40, seed=5), keys)
    assert kernels.call("simcse_graph_search", variants(kernels)[0].encode(), *arguments) == UNKNOWN


def test_a_variant_that_is_not_there(kernels: Kernels, file: File) -> None:
    assert file.walk(kernels, "sse2", whole_numbers(1, 40, seed=5), 5)[0] == UNKNOWN


def test_without_memory(kernels: Kernels, file: File) -> None:
    try:
        kernels.call("simcse_testing_allocations", 0)
        assert file.walk(kernels, variants(kernels)[0], whole_numbers(2, 40, seed=6), 5)[0] == NO_MEMORY
    finally:
        kernels.call("simcse_testing_allocations", 2**62)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize(("field", "value"), [(0, 2**32 - 1), (0, 129), (1, 2**31), (1, 2**32 - 1), (1, 900)])
def test_neighbours_that_are_not_there(kernels: Kernels, file: File, level: int, field: int, value: int) -> None:
    outcome = _altered(file, level, field, value).walk(kernels, variants(kernels)[0], file.stored[:20], 5)[0]
    assert outcome == DAMAGED


def test_a_neighbour_of_a_lower_level(kernels: Kernels, file: File) -> None:
    """Its list of that level would lie in the next node, or behind the file."""
    lower = int(np.flatnonzero(file.nodes.levels == 0)[-1])
    altered = _altered(file, 1, 1, lower)
    queries = np.repeat(file.stored[lower : lower + 1], 3, axis=0)
    assert altered.walk(kernels, variants(kernels)[0], queries, 5)[0] == DAMAGED


@pytest.mark.parametrize("key", [-1, -(2**62), 2705, 2**63 - 1])
def test_keys_that_cannot_be(kernels: Kernels, file: File, key: int) -> None:
    content, start = file.content.copy(), int(file.nodes.starts[7])
    content[start : start + 8] = np.array([key]).view(np.uint8)
    assert file.limit == 2705
    assert file.walk(kernels, variants(kernels)[0], file.stored[7:8], 5)[0] == DONE
    altered = dataclasses.replace(file, content=content)
    assert altered.walk(kernels, variants(kernels)[0], file.stored[7:8], 5)[0] == DAMAGED


def test_no_alteration_reads_elsewhere(kernels: Kernels, file: File) -> None:
    """Whatever the nodes say, it ends, and says so or finds keys."""
    random, queries, outcomes = np.random.default_rng(7), whole_numbers(4, 40, seed=8), []
    begin, end = int(file.nodes.starts[0]), len(file.content)
    for turn in by_turns(range(300), 0):
        content = file.content.copy()
        # Small numbers too: they are slots of other nodes.
        places = random.integers(begin, end, (1, 10, 1000)[turn % 3])
        content[places] = random.integers(0, 256 if turn % 2 else 4, len(places))
        altered = dataclasses.replace(file, content=content)
        variant = variants(kernels)[turn % len(variants(kernels))]
        outcomes.append(altered.walk(kernels, variant, queries, 5, threads=1 + turn % 2)[0])
    assert {*outcomes} == {DONE, DAMAGED}


def _altered(file: File, level: int, field: int, value: int) -> File:
    """With another number in each node's list of a level: how many, or in place of all neighbours."""
    content, connectivity = file.content.copy(), file.scheme.connectivity
    for start in file.nodes.starts[:-1][file.nodes.levels >= level]:
        at = int(start) + NODE_BYTES
        if level:
            at += 4 * (1 + 2 * connectivity + (level - 1) * (1 + connectivity))
        count = int(content[at : at + 4].view("<u4")[0])
        last = at + 4 * (1 + count) if field else at + 4
        content[at + 4 * field : last] = np.full((last - at) // 4 - field, value, "<u4").view(np.uint8)
    return dataclasses.replace(file, content=content)
