"""Does bulk work get faster with more threads? Worth asking on more than two CPUs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from simcse_engine.machine.cpu import usable_cpus

from ..statistics import rates
from .contestant import Contestant
from .field import Field
from .peers.workers.protocol import Load

QUESTION = "sentences a second in bulk, by the threads that a contestant may use"


def measure(field: Field, *, counts: Sequence[int] | None = None, rounds: int = 3) -> dict[str, Any]:
    (texts,) = field.draw("threads", 1, field.sentences)
    figures = {}
    for count in counts or powers_of_two():
        print(f"{count} threads", flush=True)
        for each in field.contestants.values():
            each.process.load(on_threads(each, count))
        figures[count] = rates(field.encode([texts] * rounds, warm_up=texts), field.sentences)
    return {
        "settings": "for peers, the batches that are best on all CPUs; as many workers, or as many threads of one, "
        "as are allowed, whichever kind is best on all CPUs",
        "bulk_sentences_per_second_by_threads": figures,
    }


def powers_of_two() -> list[int]:
    """Up to all CPUs, and their number."""
    cpus = usable_cpus()
    return sorted({*(1 << i for i in range(cpus.bit_length())), cpus})


def on_threads(each: Contestant, count: int) -> Load:
    workers, threads = (count, 1) if each.bulk.setting.workers > 1 else (1, count)
    return replace(each.bulk, setting=replace(each.bulk.setting, workers=workers, threads=threads))
