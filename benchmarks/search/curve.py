"""A graph's curve of recall and time over the candidates that it looks at, read at a recall of another's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# Beyond, a recall of 1 cannot be told from one that misses less than the queries show.
_LEAST_MISSED = 2.5e-5


@dataclass(frozen=True, kw_only=True)
class Read:
    """A curve at a recall.

    Attributes:
        recall: at which it was read: the wanted one, or the nearest that was measured.
        candidates: how many it would look at.
        seconds: of each round.
    """

    recall: float
    candidates: float
    seconds: list[float]


def read_at(recall: float, recalls: Mapping[int, float], seconds: Mapping[int, Sequence[float]]) -> Read:
    """Read a curve, given by its candidates, at a recall.

    Between the two widths whose recalls lie on both sides, the logarithms of candidates and seconds are linear in that
    of what is missed; the seconds of each round are read apart. A recall that none reaches is read at the widest, one
    that all exceed at the narrowest: to the advantage of the curve, and against it.

    >>> read_at(0.99, {32: 0.9, 128: 0.999}, {32: [1.0], 128: [4.0]})
    Read(recall=0.99, candidates=64.0, seconds=[2.0])
    """
    widths = sorted(recalls)
    above = next((i for i, width in enumerate(widths) if recalls[width] >= recall), None)
    if above is None or above == 0:
        width = widths[-1] if above is None else widths[0]
        return Read(recall=recalls[width], candidates=width, seconds=list(seconds[width]))
    low, high = widths[above - 1], widths[above]
    missed = [np.log(max(1 - each, _LEAST_MISSED)) for each in (recalls[low], recall, recalls[high])]
    share = (missed[0] - missed[1]) / (missed[0] - missed[2])

    def between(before: object, after: object) -> np.ndarray:
        return np.exp((1 - share) * np.log(before) + share * np.log(after))

    return Read(
        recall=recall,
        candidates=float(np.round(between(low, high), 6)),
        seconds=np.round(between(seconds[low], seconds[high]), 12).tolist(),
    )
