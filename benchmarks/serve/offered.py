"""How long do requests wait at each load? Open loops at shares of what each service can do, in turns.

Requests arrive as independent users send them, whether or not earlier ones are answered, one sentence each, of all
lengths. A wait counts from the moment of arrival. What a service can do is what the same generator gets out of it in a
closed loop of 64 connections.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ..turns import alternate
from . import load
from .arrivals import arrivals
from .plan import Plan, Seen
from .servers import settle
from .stage import OUR_NAME, Stage

QUESTION = "milliseconds of a request from its arrival, by the share of the capacity that is offered"
CONNECTIONS = 64
HALF, GOAL = 0.5, 4.0


def measure(
    stage: Stage,
    *,
    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    seconds: float = 8,
    passes: int = 2,
    rounds: int = 3,
) -> dict[str, Any]:
    services = stage.services
    with contextlib.ExitStack() as servers:
        running = {name: servers.enter_context(each.start()) for name, each in services.items()}
        items = {name: stage.singles(each.route) for name, each in services.items()}

        def take_turns(run: Callable[[str, Any], Seen], inputs: Sequence[Any], warm_up: Any) -> dict[str, list[Seen]]:
            return alternate(
                {name: partial(run, name) for name in services},
                inputs,
                warm_up=warm_up,
                before_turn=lambda: settle(running.values()),
                drop=stage.leave,
            )

        def closed(name: str, connections: int) -> Seen:
            port = running[name].port
            return load.run(Plan(port=port, items=items[name], connections=connections, seconds=seconds / 2))

        def offered(name: str, at: tuple[int, float]) -> Seen:
            number, share = at
            moments = arrivals(share * capacities[name], seconds / passes, seed=number)
            plan = Plan(port=running[name].port, items=items[name], connections=CONNECTIONS, seconds=seconds)
            return load.run(replace(plan, arrivals=moments))

        crowds = take_turns(closed, [CONNECTIONS] * rounds, CONNECTIONS)
        capacities = {name: max(map(rate, each)) for name, each in crowds.items()}
        print("capacity:", ", ".join(f"{name} {each:.0f}/s" for name, each in capacities.items()), flush=True)
        alone = take_turns(closed, [1], 1)
        # In several passes over all shares: what disturbs the machine for a while meets no share alone.
        loads = take_turns(offered, list(enumerate([*shares] * passes)), (0, HALF))
    lone = {name: load.percentiles(alone[name][0].waits()) for name in loads}
    curves = {
        name: {
            f"{share:g}": {"offered_per_second": share * capacities[name], **load.figures(*each[i :: len(shares)])}
            for i, share in enumerate(shares)
        }
        for name, each in loads.items()
    }
    at_half = {name: each.get(f"{HALF:g}") for name, each in curves.items()}
    half = {name: at["ms"]["p99"] / lone[name]["p50"] for name, at in at_half.items() if at is not None}
    return {
        "capacity_per_second": capacities,
        "alone_ms": lone,
        "seconds": seconds,
        "offered": curves,
        "p99_at_half_load_over_the_lone_p50": half,
        "goal": {"p99_at_half_load_over_the_lone_p50": GOAL, "met": half.get(OUR_NAME, float("inf")) <= GOAL},
    }


def rate(seen: Seen) -> float:
    """Requests a second that a closed loop got served."""
    done = seen.done[seen.status == 200]
    return len(done) / float(done.max() - seen.began)
