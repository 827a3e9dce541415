"""The figures of a bench, computed from the rounds that it timed."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The median and the extremes of a repeated measurement."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of at least one value."""
        return cls(median=float(np.median(values)), min=min(values), max=max(values))


@dataclass(frozen=True, kw_only=True)
class Round:
    """One timed call; ``tokens`` are those of all its sentences, special tokens included."""

    sentences: int
    tokens: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Speed of bulk work; counts per round and per sentence are averages."""

    rounds: int
    sentences_per_round: float
    tokens_per_sentence: float
    sentences_per_s: Spread
    tokens_per_s: Spread

    @classmethod
    def of(cls, rounds: Sequence[Round]) -> Self:
        """Of at least one round."""
        sentences = sum(r.sentences for r in rounds)
        return cls(
            rounds=len(rounds),
            sentences_per_round=sentences / len(rounds),
            tokens_per_sentence=sum(r.tokens for r in rounds) / sentences,
            sentences_per_s=Spread.of([r.sentences / r.seconds for r in rounds]),
            tokens_per_s=Spread.of([r.tokens / r.seconds for r in rounds]),
        )


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Time of one sentence, sentence after sentence; the 99.9th percentile of few calls means little."""

    calls: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p99_9_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        """Of at least one call's seconds."""
        p50, p90, p99, p99_9 = (float(ms) for ms in np.percentile(np.array(seconds) * 1e3, [50, 90, 99, 99.9]))
        return cls(calls=len(seconds), p50_ms=p50, p90_ms=p90, p99_ms=p99, p99_9_ms=p99_9)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """All figures of an artifact.

    Attributes:
        artifact: its path, and facts of its manifest.
        machine: the CPU, the threads, the runtime, and the variant of our kernels that ran, if any did.
        seconds: per section, as in `BenchOptions`.
        texts_source: "generated" or the file's name.
        texts_cut: number of texts that were longer than the artifact's limit and were cut.
        lengths: from token ids to vectors, one entry per length.
        texts: from texts to vectors.
        latency: of one text at a time.
    """

    artifact: Mapping[str, Any]
    machine: Mapping[str, Any]
    seconds: float
    texts_source: str
    texts_cut: int
    lengths: Sequence[Throughput]
    texts: Throughput
    latency: Latency

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return dataclasses.asdict(self)
