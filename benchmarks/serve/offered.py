"""How long do requests wait at each load? Open loops at shares of what each service can do, in turns.

Requests arrive as independent users send them, whether or not earlier ones are answered, one sentence each, of all
lengths. A wait counts from the moment of arrival. What a service can do is what the same generator gets out of it in a
closed loop of 64 connections.
"""

import contextlib
import time
from typing import Any

from ..turns import alternate
from . import load
from .arrivals import arrivals
from .plan import Plan, Seen
from .short import SETTLE_SECONDS
from .stage import OUR_NAME, Stage

QUESTION = "milliseconds of a request from its arrival, by the share of the capacity that is offered"
CONNECTIONS = 64
HALF, GOAL = 0.5, 4.0


def measure(
    stage: Stage,
    *,
    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    seconds: float = 8,
    rounds: int = 3,
) -> dict[str, Any]:
    services = stage.services
    with contextlib.ExitStack() as servers:
        ports = {name: servers.enter_context(each.start()).port for name, each in services.items()}
        items = {name: stage.singles(each.route) for name, each in services.items()}

        def closed(name: str, connections: int) -> Seen:
            plan = Plan(port=ports[name], items=items[name], connections=connections, seconds=seconds / 2)
            return load.run(plan)

        def offered(name: str, share: float) -> Seen:
            moments = arrivals(share * capacities[name], seconds, seed=round(100 * share))
            return load.run(
                Plan(port=ports[name], items=items[name], connections=CONNECTIONS, seconds=seconds, arrivals=moments)
            )

        wait = {"before_turn": lambda: time.sleep(SETTLE_SECONDS)}
        crowds = alternate(
            {name: lambda count, name=name: closed(name, count) for name in services}, [CONNECTIONS] * rounds, **wait
        )
        capacities = {name: max(map(rate, each)) for name, each in crowds.items()}
        alone = alternate({name: lambda count, name=name: closed(name, count) for name in services}, [1], **wait)
        print("capacity:", ", ".join(f"{name} {each:.0f}/s" for name, each in capacities.items()), flush=True)
        loads = alternate(
            {name: lambda share, name=name: offered(name, share) for name in services}, shares, warm_up=HALF, **wait
        )
    lone = {name: load.percentiles(each[0].waits()) for name, each in alone.items()}
    curves = {
        name: {
            f"{share:g}": {"offered_per_second": share * capacities[name], **load.figures(seen)}
            for share, seen in zip(shares, each, strict=True)
        }
        for name, each in loads.items()
    }
    half = (
        {name: each[f"{HALF:g}"]["ms"]["p99"] / lone[name]["p50"] for name, each in curves.items()}
        if HALF in shares
        else {}
    )
    return {
        "capacity_per_second": capacities,
        "alone_ms": lone,
        "offered": curves,
        "p99_at_half_load_over_the_lone_p50": half,
        "goal": {"p99_at_half_load_over_the_lone_p50": GOAL, "met": half.get(OUR_NAME, float("inf")) <= GOAL},
    }


def rate(seen: Seen) -> float:
    """Requests a second that a closed loop got served."""
    done = seen.done[seen.status == 200]
    return len(done) / float(done.max() - seen.began)
