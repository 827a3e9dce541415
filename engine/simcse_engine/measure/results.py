"""What `simcse-engine bench` reports, computed from the rounds that it timed."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .flops import Flops


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A figure over rounds."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of at least one value."""
        return cls(median=float(np.median(values)), min=min(values), max=max(values))


@dataclass(frozen=True, kw_only=True)
class Round:
    """One timed call.

    Attributes:
        tokens: of all its sentences, special tokens included.
        peak_per_s: operations a second that the runtime's matrix product reached just before; None if not measured.
    """

    sentences: int
    tokens: int
    seconds: float
    peak_per_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Speed of bulk work.

    Attributes:
        tokens_per_sentence: on average.
        executed_flops_per_token: see `Flops.executed_per_token`; None where the graph's products are not known.
        efficiency: tokens a second x `Flops.per_token` over the peak measured just before, as a fraction. What the
            graph spares the full model counts as done, so it may exceed 1. None without a peak or known products.
        executed_efficiency: the same of what is really multiplied.
    """

    rounds: int
    sentences_per_round: float
    tokens_per_sentence: float
    sentences_per_s: Spread
    tokens_per_s: Spread
    executed_flops_per_token: float | None
    efficiency: Spread | None
    executed_efficiency: Spread | None

    @classmethod
    def of(cls, rounds: Sequence[Round], flops: Flops | None) -> Self:
        """Of at least one round."""
        sentences = sum(r.sentences for r in rounds)
        length = sum(r.tokens for r in rounds) / sentences
        full, executed = (None, None) if flops is None else (flops.per_token, flops.executed_per_token(length))
        return cls(
            rounds=len(rounds),
            sentences_per_round=sentences / len(rounds),
            tokens_per_sentence=length,
            sentences_per_s=Spread.of([r.sentences / r.seconds for r in rounds]),
            tokens_per_s=Spread.of([r.tokens / r.seconds for r in rounds]),
            executed_flops_per_token=executed,
            efficiency=_efficiency(rounds, full),
            executed_efficiency=_efficiency(rounds, executed),
        )


def _efficiency(rounds: Sequence[Round], flops_per_token: float | None) -> Spread | None:
    if flops_per_token is None:
        return None
    # Each round against the peak next to it: a machine that others use too changes by the second.
    ratios = [r.tokens / r.seconds * flops_per_token / r.peak_per_s for r in rounds if r.peak_per_s is not None]
    return Spread.of(ratios) if ratios else None


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long one sentence takes, sentence after sentence; the 99.9th percentile means little of few calls."""

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
    """All that was measured of an artifact.

    Attributes:
        artifact: what it is.
        machine: where, and with what, it was measured.
        seconds: that each section was given.
        texts_source: "generated" or the file's name.
        texts_cut: how many of the texts were longer than the artifact's limit and were cut.
        peak: the matrix product's operator and shape, and "operations_per_s", a `Spread` over all rounds; None where
            the runtime's product says nothing of this artifact.
        flops_per_token: see `Flops.per_token`; None where the graph's products are not known.
        lengths: token ids → vectors, a length an entry.
        texts: texts → vectors.
        latency: of one text at a time.
    """

    artifact: Mapping[str, Any]
    machine: Mapping[str, Any]
    seconds: float
    texts_source: str
    texts_cut: int
    peak: Mapping[str, Any] | None
    flops_per_token: int | None
    lengths: Sequence[Throughput]
    texts: Throughput
    latency: Latency

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return dataclasses.asdict(self)
