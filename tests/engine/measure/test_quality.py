"""Against slow and plain versions of the formulas, and against values worked out by hand."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcse_engine.errors import ArtifactError, InputValueError
from simcse_engine.measure import quality
from simcse_engine.measure.quality import Vectors, alignment, measure, spearman, uniformity
from simcse_engine.measure.sts import Task

WORDS = {
    "east": [2, 0],
    "far east": [7, 0],
    "north": [0, 1],
    "north east": [3, 3],
    "west": [-1, 0],
    "nowhere": [0, 0],
}


def encode(texts: list[str]) -> Vectors:
    return np.array([WORDS[text] for text in texts], np.float32)


def task(name: str, *pairs: tuple[float, str, str]) -> Task:
    gold, first, second = zip(*pairs, strict=True)
    return Task(name=name, gold=np.array(gold, float), first=list(first), second=list(second))


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def slow_ranks(values: list[float]) -> list[float]:
    return [sum(other < value for other in values) + (values.count(value) + 1) / 2 for value in values]


def slow_spearman(a: list[float], b: list[float]) -> float:
    a, b = slow_ranks(a), slow_ranks(b)
    middle = (len(a) + 1) / 2
    shared = sum((x - middle) * (y - middle) for x, y in zip(a, b, strict=True))
    return 100 * shared / math.sqrt(sum((x - middle) ** 2 for x in a) * sum((y - middle) ** 2 for y in b))


def slow_uniformity(vectors: Vectors) -> float:
    units = [v / math.hypot(*v) if v.any() else v for v in vectors.astype(float)]
    kernels = [math.exp(-2 * sum((x - y) ** 2)) for x, y in itertools.combinations(units, 2)]
    return math.log(sum(kernels) / len(kernels))


def test_spearman_by_hand() -> None:
    assert spearman(np.array([1.0, 2, 3]), np.array([2.0, 4, 9])) == pytest.approx(100)
    assert spearman(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == pytest.approx(-100)
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4.
    assert spearman(np.array([0.0, 1, 1, 2]), np.array([1.0, 2, 3, 4])) == pytest.approx(94.8683298)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=30))
def test_spearman_with_ties(pairs: list[tuple[int, int]]) -> None:
    a, b = ([float(value) for value in side] for side in zip(*pairs, strict=True))
    if len(set(a)) > 1 and len(set(b)) > 1:
        assert spearman(np.array(a), np.array(b)) == pytest.approx(slow_spearman(a, b), abs=1e-9)


def test_alignment_by_hand() -> None:
    vectors = encode(list(WORDS))
    assert alignment(vectors, rows(0, 0), rows(1, 2)) == pytest.approx((0 + 2) / 2)
    assert alignment(vectors, rows(0), rows(4)) == pytest.approx(4)
    # From the origin, where a zero vector stands, to a unit vector, and to itself.
    assert alignment(vectors, rows(0), rows(5)) == pytest.approx(1)
    assert alignment(vectors, rows(5), rows(5)) == 0
    assert alignment(vectors, rows(), rows()) is None


def test_uniformity_by_hand() -> None:
    # East and west stand 2 apart, each of them sqrt(2) from north.
    mean = (math.exp(-8) + 2 * math.exp(-4)) / 3
    assert uniformity(encode(["east", "west", "north"])) == pytest.approx(math.log(mean), rel=1e-6)
    assert uniformity(encode(["east", "far east"])) == pytest.approx(0, abs=1e-6)
    assert uniformity(encode(["east"])) is None


@pytest.mark.parametrize("block", [1, 3, 10, 64])
def test_uniformity_in_blocks(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(quality, "_BLOCK_ROWS", block)
    vectors = np.random.default_rng(1).standard_normal((10, 5)).astype(np.float32) * 3
    vectors[4] = 0
    assert uniformity(vectors) == pytest.approx(slow_uniformity(vectors), rel=1e-5)


def test_uniformity_of_many_is_that_of_one_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(2).standard_normal((40, 5)).astype(np.float32)
    of_all = uniformity(vectors)
    monkeypatch.setattr(quality, "UNIFORMITY_SENTENCES", 8)
    sampled = uniformity(vectors)
    assert sampled == uniformity(vectors)
    assert sampled != of_all
    assert sampled == pytest.approx(of_all, rel=0.3)


def test_measure() -> None:
    calls: list[list[str]] = []

    def counted(texts: list[str]) -> Vectors:
        calls.append(texts)
        return encode(texts)

    tasks = [
        task("plain", (5, "east", "far east"), (4, "east", "north east"), (2, "east", "north"), (0, "east", "west")),
        task("turned", (4.1, "west", "east"), (3, "north", "east"), (1, "north", "north")),
    ]
    scores = measure(tasks, counted)
    assert calls == [["east", "far east", "north east", "north", "west"]]
    assert {name: (entry.spearman, entry.pairs) for name, entry in scores.tasks.items()} == {
        "plain": (pytest.approx(100), 4),
        "turned": (pytest.approx(-100), 3),
    }
    assert scores.average == pytest.approx(0)
    # Above 4 alone: east and far east, west and east.
    assert scores.alignment == pytest.approx((0 + 4) / 2)
    assert scores.uniformity == pytest.approx(slow_uniformity(encode(calls[0])), rel=1e-5)
    assert scores.tasks["plain"].alignment == pytest.approx(0)
    assert scores.sentences == 5
    document = json.loads(json.dumps(scores.to_json()))
    assert set(document) == {"tasks", "average", "alignment", "uniformity", "sentences"}
    assert document["tasks"]["turned"] == {
        "spearman": scores.tasks["turned"].spearman,
        "pairs": 3,
        "alignment": pytest.approx(4),
        "uniformity": pytest.approx(slow_uniformity(encode(["west", "east", "north"])), rel=1e-5),
    }


def test_no_positive_pair() -> None:
    assert measure([task("t", (4, "east", "north"), (1, "east", "west"))], encode).alignment is None


def test_a_zero_vector_is_between_alike_and_opposite() -> None:
    pairs = ((5, "east", "far east"), (3, "east", "nowhere"), (1, "east", "west"))
    assert measure([task("t", *pairs)], encode).average == pytest.approx(100)


def test_what_cannot_be_scored() -> None:
    with pytest.raises(InputValueError, match="no tasks"):
        measure([], encode)
    with pytest.raises(ArtifactError, match="task same: all pairs have the cosine 0"):
        measure([task("same", (5, "east", "north"), (1, "west", "north"))], encode)

    def broken(texts: list[str]) -> Vectors:
        vectors = encode(texts)
        vectors[texts.index("west")] = np.nan
        return vectors

    with pytest.raises(ArtifactError, match="the vector of 'west' is not finite"):
        measure([task("t", (5, "east", "north"), (1, "east", "west"))], broken)
