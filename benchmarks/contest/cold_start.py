"""How long from a process's start to its first vector? Fresh processes, in turns, files in the system's cache.

Beside them, the floor: a script that opens our INT8 graph and tokenizer with their libraries and does nothing else.
"""

import itertools
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..statistics import Ratio, spreads
from .contestant import Contestant
from .field import Field
from .peers.process import WORKERS, Process

QUESTION = "seconds from a process's start to its first vector"
GOALS = {"ours-fp32": 0.5, "ours-int8": 0.3}
AGAINST = "fastembed"
FLOOR, FLOOR_OF = "bare-int8", "ours-int8"


def measure(field: Field, *, rounds: int = 4) -> dict[str, Any]:
    # No other process may be in memory while one starts.
    field.close()
    floor = {}
    if FLOOR_OF in field.contestants:
        bare = Process(Path(sys.executable), f"{WORKERS}.bare")
        floor[FLOOR] = replace(field.contestants[FLOOR_OF], process=bare)
    (texts,) = field.draw("cold_start", 1, rounds)
    runs = field.take_turns(texts, start, warm_up=texts[0], beside=floor)
    stages = {name: {stage: [run[stage] for run in each] for stage in each[0]} for name, each in runs.items()}
    firsts = {name: each["first_vector"] for name, each in stages.items()}
    compared = [name for name in (*GOALS, FLOOR) if name in firsts and AGAINST in firsts]
    ratios = {name: Ratio.of(firsts[name], firsts[AGAINST]) for name in compared}
    return {
        "seconds": {name: spreads(each) for name, each in stages.items()},
        f"over_{AGAINST}": ratios,
        "goals": {
            name: {f"over_{AGAINST}": goal, "met": ratios[name].median <= goal}
            for name, goal in GOALS.items()
            if name in ratios
        },
    }


def start(each: Contestant, text: str) -> dict[str, float]:
    """Seconds of each stage of a fresh process, and of all three."""
    process = each.process.another()
    times = [time.perf_counter()]
    try:
        for stage in (process.ready, lambda: process.load(each.one), lambda: process.each([text])):
            stage()
            times.append(time.perf_counter())
    finally:
        process.close()
    seconds = (after - before for before, after in itertools.pairwise(times))
    return {**dict(zip(("import", "load", "encode"), seconds, strict=True)), "first_vector": times[-1] - times[0]}
