"""Is any vector wrong under mixed load, and how much memory does the server take?

64 connections send requests of one to 64 texts, short and long, over all routes, for ten minutes. Every vector of
every answer is compared with the library's: to the bit in INT8, to 1e-6 in float32.
"""

from typing import Any

from . import load
from .plan import Plan
from .stage import Stage

QUESTION = "vectors that differ from the library's, and the server's peak memory, under mixed load on 64 connections"
CONNECTIONS = 64
# Of a number of a vector.
TOLERANCES = {"int8": 0.0, "bf16": 0.0, "fp32": 1e-6}
GOAL_MB, SAMPLES = 250, 20
# After a 429, as a client would.
PAUSE_SECONDS = 0.05


def measure(stage: Stage, *, seconds: float = 600, precision: str = "int8") -> dict[str, Any]:
    with stage.ours(precision, "--auto-truncate").start() as server:
        start = server.memory_mb()["now"]
        plan = Plan(
            port=server.port,
            items=stage.mixed,
            connections=CONNECTIONS,
            seconds=seconds,
            pause=PAUSE_SECONDS,
            expected=stage.expected(precision),
            tolerance=TOLERANCES[precision],
        )
        over_time = []
        with load.Load(plan) as crowd:
            while not crowd.ended(within=seconds / SAMPLES):
                over_time.append(server.memory_mb()["now"])
            seen = crowd.seen()
        memory = server.memory_mb()
    return {
        "seconds": seconds,
        "precision": precision,
        "tolerance": TOLERANCES[precision],
        "statuses": seen.statuses(),
        "vectors": seen.compared,
        "memory_mb": {"start": start, "end": memory["now"], "peak": memory["peak"]},
        "memory_mb_over_time": over_time,
        "goal": {
            "peak_mb": GOAL_MB,
            "met": {"peak_mb": memory["peak"] <= GOAL_MB, "no vector wrong": not seen.compared.wrong},
        },
    }
