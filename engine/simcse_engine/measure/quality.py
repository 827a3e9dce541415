"""How good vectors are: agreement with people's scores of similarity, and the vectors' spread over the sphere.

Pure functions over anything that encodes texts, so that export can score a model before it is an artifact.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArtifactError, InputValueError
from .cosines import pair_cosines, unit_rows
from .sts import Task

Vectors = NDArray[np.float32]

# Pairs with a score above this count as positive, as in SimCSE (Gao et al. 2021, arXiv:2104.08821).
POSITIVE = 4.0
# Uniformity compares every pair of a sample of this many vectors at most: 134 million pairs.
UNIFORMITY_SENTENCES = 16_384
_BLOCK_ROWS = 1024


@dataclass(frozen=True, kw_only=True)
class TaskQuality:
    """The scores of one task.

    Attributes:
        spearman: rank correlation of cosines and gold scores x 100, from -100 to 100.
        pairs: number of pairs it was computed from.
        alignment: of the task's positive pairs, see `alignment`; None where no pair is positive.
        uniformity: of the task's distinct sentences, see `uniformity`; None where there is only one.
    """

    spearman: float
    pairs: int
    alignment: float | None
    uniformity: float | None


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The scores that `measure` computes.

    Attributes:
        tasks: scores by the task's name.
        average: mean of the tasks' Spearman, each of equal weight.
        alignment: of the positive pairs of all tasks together.
        uniformity: of the distinct sentences of all tasks together.
        sentences: number of distinct sentences. With more than `UNIFORMITY_SENTENCES`, uniformity is that of a
            sample, always the same one.
    """

    tasks: Mapping[str, TaskQuality]
    average: float
    alignment: float | None
    uniformity: float | None
    sentences: int

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return dataclasses.asdict(self)


def measure(tasks: Sequence[Task], encode: Callable[[list[str]], Vectors]) -> Quality:
    """Score a model on STS tasks.

    Args:
        tasks: at least one, as `simcse_engine.measure.sts.read_tasks` gives them.
        encode: texts → float32 [texts, dimension], of any length. It is called once, with each distinct sentence
            once. All vectors are held at once; everything else works in blocks of fixed size.

    Raises:
        InputValueError: no tasks.
        ArtifactError: a vector is not finite, or a task's pairs all have the same cosine.
    """
    if not tasks:
        raise InputValueError("no tasks; expected at least one")
    texts = list(dict.fromkeys(text for task in tasks for side in (task.first, task.second) for text in side))
    row = {text: i for i, text in enumerate(texts)}
    vectors = encode(texts)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        text = texts[int(np.argmin(finite))]
        raise ArtifactError(f"the vector of {text!r:.60} is not finite; export again, from a sound checkpoint")

    scores, positive = {}, []
    for task in tasks:
        left, right = (np.array([row[text] for text in side]) for side in (task.first, task.second))
        cosines = pair_cosines(vectors, left, right)
        if (cosines == cosines[0]).all():
            raise ArtifactError(f"task {task.name}: all pairs have the cosine {cosines[0]:g}, so they have no order")
        above = task.gold > POSITIVE
        positive.append(np.stack([left[above], right[above]]))
        scores[task.name] = TaskQuality(
            spearman=spearman(cosines, task.gold),
            pairs=len(cosines),
            alignment=alignment(vectors, *positive[-1]),
            uniformity=uniformity(vectors[np.unique(np.concatenate([left, right]))]),
        )
    return Quality(
        tasks=scores,
        average=float(np.mean([task.spearman for task in scores.values()])),
        alignment=alignment(vectors, *np.concatenate(positive, axis=1)),
        uniformity=uniformity(vectors),
        sentences=len(texts),
    )


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Spearman's rank correlation x 100 of finite values, not all equal; equal ones share the mean of their ranks.

    >>> spearman(np.array([0.0, 1, 1, 2]), np.array([1.0, 2, 3, 4]))  # ranks 1, 2.5, 2.5, 4
    94.86832980505139
    """
    return float(100 * np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return ranks


def alignment(vectors: Vectors, left: NDArray[np.int64], right: NDArray[np.int64]) -> float | None:
    """Mean squared distance between the directions of rows ``left[i]`` and ``right[i]``; None without pairs.

    From 0, where both of each pair have one direction, to 4; smaller is better. Equation 1 of Wang & Isola 2020
    (arXiv:2005.10242) with alpha 2. SimCSE's pairs are those with a gold score above `POSITIVE`.
    """
    if not len(left):
        return None
    # |u - v|² of unit vectors. A zero row has no direction and counts as the origin, which takes its square away.
    squares = np.where(vectors.any(axis=1), 1.0, 0.0)
    return float(np.mean(squares[left] + squares[right] - 2 * pair_cosines(vectors, left, right)))


def uniformity(vectors: Vectors) -> float | None:
    """Log of the mean of exp(-2 |x - y|²) over all pairs of two rows' directions; None with fewer than two rows.

    From about -4, where directions are spread evenly, to 0, where all are one; smaller is better. Equation 2 of Wang &
    Isola 2020 (arXiv:2005.10242) with t 2, over pairs of different rows as in their code. More than
    `UNIFORMITY_SENTENCES` rows are sampled, always in the same way.
    """
    if len(vectors) > UNIFORMITY_SENTENCES:
        sample = np.random.default_rng(0).choice(len(vectors), UNIFORMITY_SENTENCES, replace=False)
        vectors = vectors[np.sort(sample)]
    count = len(vectors)
    if count < 2:
        return None
    blocks = [
        unit_rows(vectors[start : start + _BLOCK_ROWS]).astype(np.float32) for start in range(0, count, _BLOCK_ROWS)
    ]
    total = 0.0
    for i, rows in enumerate(blocks):
        for j, others in enumerate(blocks[i:], i):
            squares: Vectors = np.square(rows).sum(axis=1, keepdims=True) + np.square(others).sum(axis=1)
            kernel = np.exp(4 * (rows @ others.T) - 2 * squares)
            # In a block against itself, the part above the diagonal holds each pair once.
            total += float(np.sum(np.triu(kernel, 1) if i == j else kernel, dtype=np.float64))
    return float(np.log(total / (count * (count - 1) / 2)))
