"""How many requests a second, one short sentence each? Ours and the peers in turns, closed loops of wrk."""

import contextlib
from typing import Any

import numpy as np

from ..statistics import Ratio, spreads
from ..turns import alternate
from . import wrk
from .load import percentiles
from .servers import settle
from .stage import OUR_NAME, SHORT_TOKENS, Stage

QUESTION = "requests a second and their waits, one short sentence a request, each connection waiting for its answer"


def measure(
    stage: Stage, *, connections: tuple[int, ...] = (1, 8, 64, 256), rounds: int = 5, seconds: float = 4
) -> dict[str, Any]:
    services = stage.services
    bodies = {name: [each.route.body([text]) for text in stage.short] for name, each in services.items()}
    figures = {}
    with contextlib.ExitStack() as servers:
        running = {name: servers.enter_context(each.start()) for name, each in services.items()}

        def load(name: str, count: int) -> wrk.Closed:
            path = services[name].route.path
            return wrk.run(running[name].port, path, bodies[name], connections=count, seconds=seconds)

        for count in connections:
            print(f"{count} connections", flush=True)
            loops = alternate(
                {name: lambda count, name=name: load(name, count) for name in services},
                [count] * rounds,
                before_turn=lambda: settle(running.values()),
                drop=stage.leave,
            )
            figures[count] = _at(loops)
    return {
        "tokens": list(SHORT_TOKENS),
        "rounds": f"{rounds} of {seconds:g} s, in an order of services that is drawn for each",
        "connections": figures,
    }


def _at(loops: dict[str, list[wrk.Closed]]) -> dict[str, Any]:
    rates = {name: [loop.rate for loop in each] for name, each in loops.items()}
    return {
        "requests_per_second": spreads(rates),
        "ours_over_peer": {name: Ratio.of(rates[OUR_NAME], each) for name, each in rates.items() if name != OUR_NAME},
        "ms": {name: percentiles(np.concatenate([loop.waits for loop in each])) for name, each in loops.items()},
        "answers": {name: sum(loop.answered for loop in each) for name, each in loops.items()},
        "refused": {name: sum(loop.refused for loop in each) for name, each in loops.items()},
        "broken": {name: sum(loop.broken for loop in each) for name, each in loops.items()},
    }
