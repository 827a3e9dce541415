"""How long does a server take to end under load, and does everybody who was accepted get an answer?"""

import signal
import time
from typing import Any

from simcse_engine.measure.results import Spread

from . import load
from .plan import Plan
from .stage import Stage

QUESTION = "seconds from SIGTERM to the end of the process, under mixed load on 64 connections"
CONNECTIONS = 64
# What is sent in the last moment before the signal may lie unread where nobody can see it.
UNREAD_SECONDS = 0.02


def measure(stage: Stage, *, times: int = 10, before: float = 2) -> dict[str, Any]:
    seconds, codes, answered, lost, late = [], [], 0, 0, 0
    for number in range(times):
        print(f"{number + 1} of {times}", flush=True)
        with stage.ours("int8", "--auto-truncate").start() as server:
            plan = Plan(port=server.port, items=stage.mixed, connections=CONNECTIONS, seconds=before + 60, grace=5)
            with load.Load(plan) as crowd:
                # The generator takes a second to start.
                time.sleep(1 + before)
                signalled = time.perf_counter()
                server.signal(signal.SIGTERM)
                seconds.append(server.wait())
                codes.append(server.code)
                seen = crowd.seen()
        under_way = (seen.sent < signalled) & ~(seen.done < signalled)
        missed = seen.status <= 0
        answered += int((under_way & ~missed).sum())
        lost += int((under_way & missed & (seen.sent < signalled - UNREAD_SECONDS)).sum())
        late += int((missed & (seen.sent >= signalled - UNREAD_SECONDS)).sum())
    return {
        "times": times,
        "seconds": Spread.of(seconds),
        "exit_codes": sorted(set(codes)),
        "under_way_and_answered": answered,
        "under_way_and_lost": lost,
        f"lost_that_were_sent_later_than_{UNREAD_SECONDS:g}_s_before_the_signal": late,
    }
