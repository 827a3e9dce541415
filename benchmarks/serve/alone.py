"""What does HTTP add to a lone request? Blocks of single sentences over each route and by the library, in turns."""

import itertools
from typing import Any

from ..contest.latency import FIRST_OF_BLOCK
from ..statistics import medians_ms, percentiles_ms, spreads
from ..turns import alternate
from .batches import offline_encoder
from .client import Client
from .routes import OURS
from .servers import settle
from .stage import Stage

QUESTION = "milliseconds of a lone request with one sentence, and of Encoder.encode with the same"
BLOCK = 50
GOAL_MS = 0.4
LIBRARY, HEALTH = "Encoder.encode", "/health"


def measure(stage: Stage, *, rounds: int = 20) -> dict[str, Any]:
    size = FIRST_OF_BLOCK + BLOCK
    texts = itertools.islice(itertools.cycle(stage.texts), rounds * size)
    blocks = [list(each) for each in zip(*[texts] * size, strict=True)]
    offline = offline_encoder()
    health = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with stage.ours().start() as server, Client(server.port) as client:
        ways = {
            LIBRARY: offline.each,
            HEALTH: lambda block: client.each([health] * len(block)),
            **{
                name: lambda block, route=route: client.each([route.request([text]) for text in block])
                for name, route in OURS.items()
            },
        }
        waits = alternate(ways, blocks, before_turn=lambda: settle([server]))
    offline.close()
    counted = {name: [block[FIRST_OF_BLOCK:] for block in each] for name, each in waits.items()}
    medians = medians_ms(counted)
    added = {
        name: [ours - library for ours, library in zip(medians[name], medians[LIBRARY], strict=True)] for name in OURS
    }
    ms = {name: percentiles_ms(each, (50, 99, 99.9)) for name, each in counted.items()}
    more = {name: ms[name]["p50"] - ms[LIBRARY]["p50"] for name in OURS}
    return {
        "sentences_each": rounds * BLOCK,
        "ms": ms,
        "p50_ms_by_block": spreads(medians),
        "p50_ms_added": more,
        "p50_ms_added_by_block": spreads(added),
        "goal": {"p50_ms_added": GOAL_MS, "met": {name: each <= GOAL_MS for name, each in more.items()}},
    }
