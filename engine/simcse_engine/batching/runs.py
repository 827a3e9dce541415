"""A run: texts of several jobs, encoded together, each text once."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..encoder import Encoder
from .job import Job, deliver, too_long
from .queue import Part


@dataclass(frozen=True)
class Run:
    """What is known of a run, for whoever measures.

    Attributes:
        texts: how many ran.
        tokens: of all of them.
        tokenization_s: seconds of tokenization.
        inference_s: seconds of the graph.
        alone: whether it had all threads, since nothing else ran or waited.
    """

    texts: int
    tokens: int
    tokenization_s: float
    inference_s: float
    alone: bool


@dataclass(frozen=True)
class Result:
    """What came of a run: texts, their vectors [texts, dimension] and tokens, and which texts were cut."""

    run: Run
    parts: list[Part]  # without those that failed
    rows: dict[str, int]
    vectors: NDArray[np.float32]
    tokens: list[int]
    cut: set[str]

    def write(self) -> None:
        """Give every job its vectors."""
        for part in self.parts:
            texts, positions = part.job.texts, part.positions
            rows = [self.rows[texts[position]] for position in positions]
            cut = [position for position in positions if texts[position] in self.cut] if self.cut else []
            part.job.write(positions, self.vectors[rows], [self.tokens[row] for row in rows], cut)

    def __iter__(self) -> Iterator[tuple[str, NDArray[np.float32], int, bool]]:
        """Each text with its vector, its tokens, and whether it was cut."""
        for text, row in self.rows.items():
            yield text, self.vectors[row], self.tokens[row], text in self.cut


def run_together(encoder: Encoder, parts: list[Part], *, alone: bool) -> Result:
    """Run texts on the calling thread, or ``alone`` on all; a job that wants no text cut fails if one is too long.

    The jobs' `Job.left_out` is one.
    """
    began = time.perf_counter()
    for part in parts:
        part.job.take_up(part.start)
    texts, left_out = _distinct(parts), parts[0].job.left_out
    tokens = encoder.tokenize(texts)
    ids, cut = tokens.ids, {texts[i] for i in tokens.cut}
    if cut:
        parts = [part for part in parts if not _refuse(part, cut, encoder.max_tokens)]
        ids_of = dict(zip(texts, ids, strict=True))
        texts = _distinct(parts)
        ids = [ids_of[text] for text in texts]
    tokenized = time.perf_counter()
    vectors = encoder.run(ids, alone=alone, left_out=left_out)
    ended = time.perf_counter()
    lengths = [len(sentence) for sentence in ids]
    return Result(
        run=Run(len(ids), sum(lengths), tokenized - began, ended - tokenized, alone),
        parts=parts,
        rows={text: row for row, text in enumerate(texts)},
        vectors=vectors,
        tokens=lengths,
        cut=cut,
    )


def _distinct(parts: list[Part]) -> list[str]:
    return list(dict.fromkeys(part.job.texts[position] for part in parts for position in part.positions))


def _refuse(part: Part, cut: set[str], max_tokens: int) -> bool:
    """Fail a job that wants no text cut where one was; whether it did."""
    if part.job.truncate == "error":
        for position in part.positions:
            if part.job.texts[position] in cut:
                fail(part.job, too_long(position, max_tokens))
                return True
    return False


def fail(job: Job, error: BaseException) -> None:
    """Give a job an error as its result."""
    job.failed = True
    deliver([(job, error)])
