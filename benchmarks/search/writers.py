"""Writers that are killed: each works on an index for ever, and what it is doing follows from what it has announced.

    python -m benchmarks.search.writers FOLDER SEED     works until it is killed

It announces each call on stdout, as "add STEP KEY…", and says "done" when the call has returned.
"""

import itertools
import random
import sys
import uuid
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simcse_engine import Index
from simcse_engine.index.limits import SearchLimits

KEYS = 400
# With these, a few hundred entries take every path that a million do: a graph that grows, is saved, falls behind.
LIMITS = SearchLimits(exact_rows=30, extend_rows=10, save_share=0.1, window_texts=7)
# How often each is called. Before they are called "update" and "remove-where" have keys too: those that there are, and
# from which on and up to which.
_CALLS = {"add": 6, "remove": 1, "remove-where": 1, "update": 2, "checkpoint": 1, "compact": 1}
_MOST_KEYS = 20


class Kept(NamedTuple):
    """An entry's text and metadata, which must not mix with another's."""

    text: str
    metadata: Mapping[str, Any]

    @property
    def word(self) -> str:
        """A word that no other text has."""
        return self.text.rpartition(" ")[2]


Entries = Mapping[int, Kept]


def added(number: int, seed: int, step: int) -> Kept:
    """What stands under a key after a writer's call."""
    return Kept(f"{number} {seed} {step} word{number}x{seed}x{step}", {"n": number})


def after(call: str, seed: int, before: Entries) -> dict[int, Kept | None]:
    """By key, what an announced call makes of the entries that it changes."""
    what, step, *numbers = call.split()
    keys = [int(number) for number in numbers]
    if what == "add":
        return {key: added(key, seed, int(step)) for key in keys}
    if what == "update":
        mark = {"mark": f"{seed}.{step}"}
        return {key: before[key]._replace(metadata={**before[key].metadata, **mark}) for key in keys if key in before}
    if what == "remove-where":
        keys = list(range(*keys))
    return dict.fromkeys(keys)


def key_of(index: Index, number: int) -> Any:
    """A number as a key of this index."""
    makes = {"int": int, "str": "key {}".format, "uuid": lambda number: uuid.UUID(int=number)}
    return makes[index.about.keys](number)


def vectors_of(texts: Iterable[str], index: Index) -> np.ndarray:
    """A text decides its vector, so that a check can tell whether the two belong together."""
    seeds = (zlib.crc32(text.encode()) for text in texts)
    return np.array([np.random.default_rng(seed).standard_normal(index.about.dimension) for seed in seeds])


def write_for_ever(folder: Path, seed: int) -> None:
    """Announce each call on stdout, and say when it has returned."""
    chance = random.Random(seed)
    print("open 0", flush=True)
    with Index(folder, read_only=False, limits=LIMITS) as index:
        print("done", flush=True)
        for step in itertools.count():
            what = chance.choices(list(_CALLS), list(_CALLS.values()))[0]
            numbers = chance.sample(range(KEYS), chance.randint(1, _MOST_KEYS))
            if what == "update":
                found = index.get([key_of(index, number) for number in numbers])
                numbers = [number for number, entry in zip(numbers, found, strict=True) if entry is not None]
            elif what == "remove-where":
                numbers = [numbers[0], numbers[0] + len(numbers)]
            elif what in ("checkpoint", "compact"):
                numbers = []
            print(what, step, *numbers, flush=True)
            _call(index, what, numbers, seed, step)
            print("done", flush=True)


def _call(index: Index, what: str, numbers: list[int], seed: int, step: int) -> None:
    keys = [key_of(index, number) for number in numbers]
    if what == "add":
        entries = [added(number, seed, step) for number in numbers]
        texts = [entry.text for entry in entries]
        index.add_vectors(vectors_of(texts, index), texts, keys=keys, metadata=[entry.metadata for entry in entries])
    elif what == "update":
        index.update(keys, [{"mark": f"{seed}.{step}"}] * len(keys), merge=True)
    elif what == "remove":
        index.remove(keys)
    elif what == "remove-where":
        first, end = numbers
        index.remove(where={"n": {"$gte": first, "$lt": end}})
    elif what == "checkpoint":
        index.checkpoint()
    else:
        index.compact()


if __name__ == "__main__":
    write_for_ever(Path(sys.argv[1]), int(sys.argv[2]))
