"""Contestants take turns, so that whatever else the machine does slows all of them alike."""

import argparse
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

Input = TypeVar("Input")
Output = TypeVar("Output")


def no_options(about: str | None) -> None:
    """Let ``--help`` say what a script measures, and refuse arguments."""
    argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()


def _raise(_: str, error: Exception) -> None:
    raise error


def alternate(
    contestants: Mapping[str, Callable[[Input], Output]],
    rounds: Iterable[Input],
    *,
    warm_up: Input | None = None,
    warm_ups: Callable[[str], int] = lambda _: 1,
    before_round: Callable[[int, int], object] = lambda *_: None,
    before_turn: Callable[[], object] = lambda: None,
    drop: Callable[[str, Exception], object] = _raise,
) -> dict[str, list[Output]]:
    """Let every contestant run every round.

    The order is drawn for each round: a contestant that always followed the same one would find the caches as that one
    leaves them, or its threads still spinning. Two runs draw the same orders.

    Args:
        contestants: each is called once per round.
        rounds: what they are called with.
        warm_up: what they are called with before, unrecorded, for caches to fill and memory to be allocated; None for
            the first round's input.
        warm_ups: how often, by name.
        before_round: called before each round with its number, 0 for the warm-up, and the number of rounds.
        before_turn: called before each call or row of warm-up calls.
        drop: called with a contestant's name and what it raised; unless it raises, the others go on without that one.

    Returns:
        What each contestant returned, one item per round.
    """
    inputs = list(rounds)
    outputs: dict[str, list[Output]] = {name: [] for name in contestants}
    order = random.Random(0)
    for number, value in enumerate([inputs[0] if warm_up is None else warm_up, *inputs]):
        before_round(number, len(inputs))
        for name in order.sample(list(outputs), len(outputs)):
            before_turn()
            try:
                for _ in range(1 if number else warm_ups(name)):
                    output = contestants[name](value)
            except Exception as error:
                drop(name, error)
                del outputs[name]
                continue
            if number:
                outputs[name].append(output)
    return outputs


def timed(call: Callable[[Input], object]) -> Callable[[Input], float]:
    """Turn a call into one that returns the seconds it took."""

    def measure(value: Input) -> float:
        start = time.perf_counter()
        call(value)
        return time.perf_counter() - start

    return measure


def timed_each(call: Callable[[list[Input]], object]) -> Callable[[list[Input]], list[float]]:
    """Turn a call that takes a list into one that calls it with each item alone and returns the seconds of each."""
    measure = timed(call)
    return lambda values: [measure([value]) for value in values]
