"""How long from a process's start to its first vector? Fresh processes, in turns, files in the system's cache.

Beside them, the floor: a script that opens our INT8 graph and tokenizer with their libraries and does nothing else.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

from ..harness import Ratio, Spread, write_result
from .contestant import Contestant
from .field import Field, options
from .peers.process import WORKERS, Process

ROUNDS = 4
GOALS = {"ours-fp32": 0.5, "ours-int8": 0.3}
AGAINST = "fastembed"
FLOOR, FLOOR_OF = "bare-int8", "ours-int8"


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    ask(Field.of(asked), rounds=asked.rounds)


def ask(field: Field, *, rounds: int = ROUNDS) -> None:
    """Measure, and write the result."""
    # Nobody else shall be in memory while one starts.
    field.close()
    floor = {}
    if FLOOR_OF in field.contestants:
        bare = Process(Path(sys.executable), f"{WORKERS}.bare")
        floor[FLOOR] = replace(field.contestants[FLOOR_OF], process=bare)
    (texts,) = field.draw("cold_start", 1, rounds)
    runs = field.take_turns(texts, start, warm_up=texts[0], beside=floor)
    stages = {name: {stage: [run[stage] for run in each] for stage in each[0]} for name, each in runs.items()}
    spreads = {name: {key: Spread.of(values) for key, values in each.items()} for name, each in stages.items()}
    firsts = {name: each["first_vector"] for name, each in stages.items()}
    compared = [name for name in (*GOALS, FLOOR) if name in firsts and AGAINST in firsts]
    ratios = {name: Ratio.of(firsts[name], firsts[AGAINST]) for name in compared}
    for name, spread in spreads.items():
        print(f"{name:32}", *(f"{key} {seconds.median:.3f} s" for key, seconds in spread.items()))
    for name, ratio in ratios.items():
        print(f"{name} / {AGAINST}: {ratio}")
    write_result(
        f"cold_start-{field.model.name}",
        {
            "question": "seconds from a process's start to its first vector",
            **field.facts(),
            "seconds": spreads,
            f"over_{AGAINST}": ratios,
            "goals": {
                name: {f"over_{AGAINST}": goal, "met": ratios[name].median <= goal}
                for name, goal in GOALS.items()
                if name in ratios
            },
        },
    )


def start(each: Contestant, text: str) -> dict[str, float]:
    """Seconds of each stage of a fresh process, and of all three."""
    begun = time.perf_counter()
    process = each.process.another()
    try:
        process.ready()
        imported = time.perf_counter()
        process.load(each.one)
        loaded = time.perf_counter()
        process.each([text])
        encoded = time.perf_counter()
    finally:
        process.close()
    return {
        "import": imported - begun,
        "load": loaded - imported,
        "encode": encoded - loaded,
        "first_vector": encoded - begun,
    }


if __name__ == "__main__":
    main()
