"""Figures over rounds: their spread, their ratios, their percentiles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from simcse_engine.measure.results import Spread

_RESAMPLES = 10_000


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How two contestants compare: the median of the rounds' ratios.

    A machine that slows down changes both figures of a round alike, so a ratio holds where the figures do not. From
    low to high is the median's 95 % confidence interval, by bootstrap over the rounds.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, above: Sequence[float], below: Sequence[float]) -> Self:
        """Compare the figures of the same rounds, ``above`` / ``below``."""
        ratios = np.array(above) / np.array(below)
        # Seeded, so that the same figures always give the same interval.
        samples = np.random.default_rng(0).choice(ratios, (_RESAMPLES, len(ratios)))
        low, high = np.percentile(np.median(samples, axis=1), [2.5, 97.5])
        return cls(median=float(np.median(ratios)), low=float(low), high=float(high))


def spreads(figures: Mapping[str, Sequence[float]]) -> dict[str, Spread]:
    """The spread of each contestant's figures."""
    return {name: Spread.of(values) for name, values in figures.items()}


def rates(seconds: Mapping[str, Sequence[float]], count: float) -> dict[str, Spread]:
    """How many a second each contestant does of ``count`` a round."""
    return spreads({name: [count / s for s in values] for name, values in seconds.items()})


def over(figures: Mapping[str, Sequence[float]], base: str) -> dict[str, Ratio]:
    """Each contestant's figures over those of ``base``."""
    return {name: Ratio.of(values, figures[base]) for name, values in figures.items() if name != base}


def percentiles_ms(blocks: Sequence[Sequence[float]], ranks: Sequence[float]) -> dict[str, float]:
    """Percentiles of all blocks' seconds, in milliseconds."""
    ms = np.concatenate(blocks) * 1e3
    return {f"p{rank:g}": float(np.percentile(ms, rank)) for rank in ranks}


def medians_ms(blocks: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, list[float]]:
    """For each contestant, the median of each block of seconds, in milliseconds."""
    return {name: [float(np.median(block)) * 1e3 for block in each] for name, each in blocks.items()}
