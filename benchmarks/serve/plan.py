"""What a generator of load sends, and what it saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .routes import Route

# Statuses that stand for what is no answer.
LOST, UNANSWERED = -1, 0


@dataclass(frozen=True, kw_only=True)
class Item:
    """A request that is sent again and again."""

    content: bytes
    route: Route
    rows: tuple[int, ...] = ()  # of its texts in the expected vectors


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to send. Without arrivals, each connection sends the next item when its last one is answered."""

    port: int
    items: Sequence[Item]
    connections: int  # open from the start; in an open loop more are opened when all are busy
    seconds: float
    arrivals: NDArray[np.float64] | None = None  # seconds from the start
    most_connections: int = 2_000
    pause: float = 0.0  # seconds that a connection of a closed loop waits after a 429
    grace: float = 60.0  # seconds that the last requests may take
    expected: NDArray[np.float32] | None = None  # vectors, by row; those of answers are compared with them
    tolerance: float = 0.0  # of a number; 0 is to the bit


@dataclass(frozen=True, kw_only=True)
class Compared:
    """How the vectors of answers compare with the expected ones."""

    vectors: int = 0
    wrong: int = 0
    largest_difference: float = 0.0
    first_wrong: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What became of each request. Moments are of `time.perf_counter`, which all processes of a machine share."""

    began: float
    items: NDArray[np.int64]
    due: NDArray[np.float64]  # when it should have been sent
    sent: NDArray[np.float64]  # NaN where it was not
    done: NDArray[np.float64]  # NaN where it was not answered
    status: NDArray[np.int64]  # LOST where its connection broke, UNANSWERED where nothing came
    cpu_share: float  # of one CPU, that the generator took
    compared: Compared

    def waits(self, status: int = 200) -> NDArray[np.float64]:
        """Seconds of the requests with this status, from the moments when they were due."""
        return (self.done - self.due)[self.status == status]

    def lag(self) -> NDArray[np.float64]:
        """Seconds by which each was sent too late."""
        return (self.sent - self.due)[~np.isnan(self.sent)]

    def statuses(self) -> Mapping[str, int]:
        """How many requests had each status."""
        names = {LOST: "lost", UNANSWERED: "unanswered"}
        numbers, counts = np.unique(self.status, return_counts=True)
        return {
            names.get(number, str(number)): count
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
        }
