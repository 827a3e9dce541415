"""What happens at ten times the capacity? Mixed requests arrive for a minute, whatever becomes of them.

Before and after it, a lone client asks again and again. The recovery is the time from the last arrival until its
waits are what they were before.
"""

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import load
from .arrivals import arrivals
from .client import Client
from .offered import rate
from .plan import Plan
from .routes import EMBED
from .servers import Server
from .stage import Stage

QUESTION = "statuses, waits, recovery and memory, where ten times as much arrives as can be done"
# With the generator beside it, a request's wait moves by less.
AS_BEFORE, IN_A_ROW = 1.5, 20
BEFORE_SECONDS = 3.0
LONE = 300
GOALS = {"recovery_seconds": 1.0, "memory_over_before": 1.1}


def measure(
    stage: Stage, *, times: float = 10, seconds: float = 60, watch: float = 15, connections: int = 600
) -> dict[str, Any]:
    lone = [EMBED.request([text]) for text in stage.short[:LONE]]
    with stage.ours("int8", "--auto-truncate").start() as server:
        closed = Plan(port=server.port, items=stage.mixed, connections=64, seconds=max(watch / 2, 3), pause=0.05)
        for _ in range(2):
            capacity = rate(load.run(closed))
        # Asked as it will be asked later: who pauses between requests waits for idle cores to wake.
        before = float(np.median([wait for _, wait in _watch(server.port, lone, BEFORE_SECONDS)]))
        memory = {"before": server.memory_mb()["now"]}
        moments = arrivals(times * capacity, seconds)
        plan = Plan(port=server.port, items=stage.mixed, connections=connections, seconds=seconds, arrivals=moments)
        with load.Load(plan) as flood:
            # The generator imports and connects first.
            sampled = _Memory(server)
            seen_at = _watch(server.port, lone, seconds + watch)
            memory["most"] = sampled.stop()
            seen = flood.seen()
        memory["after"] = server.memory_mb()["now"]
        ended = seen.began + float(moments[-1])
        recovered = recovery(seen_at, limit=AS_BEFORE * before, since=ended)
        alive = server.code is None
    over = memory["after"] / memory["before"]
    statuses = seen.statuses()
    return {
        "capacity_per_second": capacity,
        "offered_per_second": times * capacity,
        "texts_a_request": float(np.mean([len(item.rows) for item in stage.mixed])),
        "seconds": seconds,
        **load.figures(seen),
        "refusal_ms": load.percentiles(seen.waits(429)),
        "served_per_second": float((seen.status == 200).sum()) / seconds,
        "lone_p50_ms_before": before * 1e3,
        "recovery_seconds": recovered,
        "memory_mb": memory,
        "memory_over_before": over,
        "alive": alive,
        "goals": {
            **GOALS,
            "met": {
                "only 200 and 429": set(statuses) <= {"200", "429"},
                "recovery_seconds": recovered is not None and recovered <= GOALS["recovery_seconds"],
                "memory_over_before": over <= GOALS["memory_over_before"],
            },
        },
    }


def recovery(waits: Sequence[tuple[float, float]], *, limit: float, since: float) -> float | None:
    """Seconds from ``since`` until a lone client's waits are within the limit; None where they never are.

    Args:
        waits: the moment at which each request was sent, and the seconds that it took; infinite where it was refused.
        limit: seconds that the median of `IN_A_ROW` waits may have.
        since: a moment.
    """
    later = [(sent, wait) for sent, wait in waits if sent + wait >= since]
    for i in range(len(later) - IN_A_ROW + 1):
        if np.median([wait for _, wait in later[i : i + IN_A_ROW]]) <= limit and later[i][1] <= limit:
            return max(later[i][0] - since, 0.0)
    return None


def _watch(port: int, requests: Sequence[bytes], seconds: float) -> list[tuple[float, float]]:
    """What a lone client waits, request after request, for so long."""
    waits, number = [], 0
    end = time.perf_counter() + seconds
    with Client(port) as client:
        while (sent := time.perf_counter()) < end:
            status, _ = client.ask(requests[number % len(requests)])
            wait = time.perf_counter() - sent
            waits.append((sent, wait if status == 200 else np.inf))
            number += 1
            # One that was refused asks again as a client would.
            time.sleep(0.005)
    return waits


class _Memory:
    """The most resident memory of a server, sampled until it is stopped."""

    def __init__(self, server: Server) -> None:
        self._server, self._most = server, 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._over.wait(0.25):
            self._most = max(self._most, self._server.memory_mb()["now"])

    def stop(self) -> float:
        self._over.set()
        self._thread.join()
        return self._most
