"""How near do requests of 32 sentences come to offline bulk work? Both encode the same texts, in turns."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simcse_engine.machine.cpu import usable_cpus

from ..contest.peers.process import WORKERS, Process
from ..contest.peers.workers.protocol import Load as WorkerLoad
from ..contest.settings import first_setting
from ..inputs import MINILM
from ..statistics import Ratio, spreads
from ..turns import alternate
from . import wrk
from .routes import OURS
from .servers import settle
from .stage import Stage

QUESTION = "sentences a second over HTTP, 32 a request and several at once, over offline bulk work with the same texts"
SENTENCES = 32
GOAL = 0.8


def measure(
    stage: Stage, *, rounds: int = 6, seconds: float = 4, connections: int = 8, texts: int = 4_096
) -> dict[str, Any]:
    chosen = stage.texts[: texts // SENTENCES * SENTENCES]
    groups = [chosen[start : start + SENTENCES] for start in range(0, len(chosen), SENTENCES)]
    offline = offline_encoder()
    ours = stage.ours()

    def in_bulk(_: int) -> float:
        took, passes = 0.0, 0
        while took < seconds:
            took += offline.encode(chosen)
            passes += 1
        return passes * len(chosen) / took

    with ours.start() as server:

        def over(name: str) -> Callable[[int], float]:
            route = OURS[name]
            bodies = [route.body(group) for group in groups]

            def served(_: int) -> float:
                options = {"connections": connections, "seconds": seconds, "accept": route.accept}
                loop = wrk.run(server.port, route.path, bodies, **options)
                if loop.refused or loop.broken:
                    raise RuntimeError(f"{name}: {loop.refused} refused, {loop.broken} broken")
                return loop.rate * SENTENCES

            return served

        rates = alternate(
            {"offline": in_bulk, **{name: over(name) for name in OURS}},
            range(rounds),
            before_turn=lambda: settle([server]),
        )
    offline.close()
    shares = {name: Ratio.of(rates[name], rates["offline"]) for name in OURS}
    return {
        "sentences_a_request": SENTENCES,
        "connections": connections,
        "rounds": rounds,
        "sentences_per_second": spreads(rates),
        "over_offline": shares,
        "goal": {"over_offline": GOAL, "met": {name: share.median >= GOAL for name, share in shares.items()}},
    }


def offline_encoder() -> Process:
    """Our library in a process of its own, with the INT8 artifact."""
    process = Process(Path(sys.executable), f"{WORKERS}.ours")
    artifact = str(MINILM.artifact("int8"))
    setting = first_setting(usable_cpus())
    process.load(WorkerLoad(model=artifact, folder=artifact, pooler="avg", precision=None, setting=setting))
    return process
