"""Does bulk work get faster with more threads? Only machines with more than two CPUs can tell."""

import sys
from collections.abc import Sequence
from dataclasses import replace

from simcse_engine.machine.cpu import usable_cpus

from ..harness import Spread, write_result
from .contestant import Contestant
from .field import SEVERAL_WORKERS, Field, options
from .peers.workers.protocol import Load

ROUNDS = 3


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each number of threads")
    parser.add_argument("--threads", type=int, nargs="+", help="instead of the powers of two up to all CPUs")
    asked = parser.parse_args()
    cpus = usable_cpus()
    if asked.threads is None and cpus <= 2:
        sys.exit(f"{cpus} CPUs here, too few to tell; --threads 1 2 measures them all the same")
    field = Field.of(asked)
    ask(field, counts=asked.threads, rounds=asked.rounds)
    field.close()


def ask(field: Field, *, counts: Sequence[int] | None = None, rounds: int = ROUNDS) -> None:
    """Measure, and write the result."""
    (texts,) = field.draw("threads", 1, field.sentences)
    rates = {}
    for count in counts or powers_of_two():
        print(f"{count} threads", flush=True)
        for each in field.contestants.values():
            each.process.load(on_threads(each, count))
        seconds = field.take_turns(
            [texts] * rounds,
            lambda each, given: each.process.encode(given),
            warm_up=texts,
            warm_ups_of_several=SEVERAL_WORKERS,
        )
        rates[count] = {name: Spread.of([field.sentences / s for s in each]) for name, each in seconds.items()}
        for name, rate in rates[count].items():
            print(f"  {name:32} {rate.median:8.0f} sentences/s")
    write_result(
        f"threads-{field.model.name}",
        {
            "question": "sentences a second in bulk, by the threads that a contestant may use",
            **field.facts(),
            "settings": "for peers, the batches that are best on all CPUs; as many workers, or as many threads of one, "
            "as are allowed, whichever kind is best on all CPUs",
            "bulk_sentences_per_second_by_threads": rates,
        },
    )


def powers_of_two() -> list[int]:
    """Up to all CPUs, and those."""
    cpus = usable_cpus()
    return sorted({*(1 << i for i in range(cpus.bit_length())), cpus})


def on_threads(each: Contestant, count: int) -> Load:
    side_by_side = each.bulk.setting.workers > 1
    workers, threads = (count, 1) if side_by_side else (1, count)
    return replace(each.bulk, setting=replace(each.bulk.setting, workers=workers, threads=threads))


if __name__ == "__main__":
    main()
