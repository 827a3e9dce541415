"""When requests arrive in an open loop: at moments that no answer delays."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["poisson", "even"]


def arrivals(rate: float, seconds: float, kind: Kind = "poisson", *, seed: int = 0) -> NDArray[np.float64]:
    """Moments in seconds from the start, ascending: ``rate`` a second on average, all before ``seconds``.

    As many independent users make them ("poisson"), or at equal distances ("even").
    """
    if kind == "even":
        return np.arange(int(rate * seconds)) / rate
    # A Poisson process of known length: a number of arrivals, and their moments drawn evenly.
    draw = np.random.default_rng(seed)
    return np.sort(draw.uniform(0, seconds, draw.poisson(rate * seconds)))
