"""Does an index keep what it has acknowledged, whenever its writer is killed?

A process opens an index, adds, replaces, removes, compacts and saves the ANN graph for ever. It announces each call on
a pipe, and says when it has returned. A kill -9 ends it at a random moment. Then the index must open, hold every
acknowledged entry with its own vector and metadata, and find it with the ANN graph and without. What was announced and
had not returned may be there or not; an addition is committed in batches. The next writer goes on with the same index.

    python -m benchmarks.search.kills                   1,000 kills, a quarter of an hour
    python -m benchmarks.search.kills --write FOLDER SEED   the writer alone, until it is killed
"""

import argparse
import collections
import itertools
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import numpy as np

from simcse_engine import Index
from simcse_engine.errors import IndexWarning
from simcse_engine.index.limits import SearchLimits

from ..inputs import MINILM
from ..record import ROOT, write_result

KEYS = 400
_MOST_CALLS = 25
_OPENING_SECONDS = 0.01
# With these, a few hundred entries take every path that a million do: a graph that grows, is saved, falls behind.
LIMITS = SearchLimits(exact_rows=30, extend_rows=10, save_share=0.1, window_texts=7)


# The keys of an index by their numbers.
_KEYS: dict[str, Callable[[int], Any]] = {
    "int": int,
    "str": "key {} 😀".format,
    "uuid": lambda n: UUID(int=n << 64 | n),
}


class LostError(Exception):
    """Something that was acknowledged is not there, or is not what it was."""


@dataclass
class Tally:
    """How many writers were killed, which calls returned, and which were interrupted ("nothing": between two calls)."""

    kills: int = 0
    acknowledged: collections.Counter[str] = field(default_factory=collections.Counter)
    interrupted: collections.Counter[str] = field(default_factory=collections.Counter)

    def add(self, other: Self) -> None:
        self.kills += other.kills
        self.acknowledged += other.acknowledged
        self.interrupted += other.interrupted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--indexes", type=int, default=4, help="that share the kills, side by side (default: 4)")
    parser.add_argument("--write", nargs=2, metavar=("FOLDER", "SEED"), help="be a writer")
    arguments = parser.parse_args()
    if arguments.write:
        folder, seed = arguments.write
        write_for_ever(Path(folder), int(seed))
    # It warns of an ANN graph that is not what was saved: kills must leave none.
    warnings.simplefilter("error", IndexWarning)
    home = Path(tempfile.mkdtemp(prefix="kills-"))
    start = time.perf_counter()
    folders = [home / str(number) for number in range(arguments.indexes)]
    for folder in folders:
        Index.create(folder, MINILM.artifact()).close()
    shares = [len(range(number, arguments.kills, arguments.indexes)) for number in range(arguments.indexes)]
    tally = Tally()
    with ThreadPoolExecutor(arguments.indexes) as pool:
        for share in pool.map(kill_often, folders, shares, range(arguments.indexes)):
            tally.add(share)
    question = "is anything lost that was acknowledged, where a writer is killed at random moments?"
    about = {"question": question, "indexes": arguments.indexes}
    write_result("kills", about, {"lost": 0, "seconds": time.perf_counter() - start, **vars(tally)})
    # Where something was lost, the indexes stay for a look.
    shutil.rmtree(home)


def write_for_ever(folder: Path, seed: int) -> None:
    """Announce each call on stdout, and say when it has returned."""
    chance = random.Random(seed)
    print("open 0", flush=True)
    with Index(folder, read_only=False, limits=LIMITS) as index:
        print("done", flush=True)
        for step in itertools.count():
            what = chance.choices(["add", "remove", "checkpoint", "compact"], [6, 2, 1, 1])[0]
            keys = chance.sample(range(KEYS), chance.randint(1, 20)) if what in ("add", "remove") else []
            print(what, step, *keys, flush=True)
            if what == "add":
                texts = [f"{key} {seed} {step}" for key in keys]
                metadata = [{"n": key} for key in keys]
                added = map(_KEYS[index.about.keys], keys)
                index.add_vectors(_vectors(texts, index), texts, keys=added, metadata=metadata)
            elif what == "remove":
                index.remove(map(_KEYS[index.about.keys], keys))
            elif what == "checkpoint":
                index.checkpoint()
            else:
                index.compact()
            print("done", flush=True)


def kill_often(folder: Path, kills: int, seed: int = 0) -> Tally:
    """Let writers write into an empty index, and kill each; the seed decides what is written, and the moments.

    Raises:
        LostError: see `check`.
    """
    expected: dict[int, str] = {}
    chance, tally = random.Random(seed), Tally()
    for turn in range(seed * kills, (seed + 1) * kills):
        lines = _killed(folder, turn, chance)
        expected = check(folder, *_possible(expected, lines, turn, tally))
        tally.kills += 1
        if tally.kills % 50 == 0:
            print(f"{folder.name}: {tally.kills} kills, {tally.acknowledged.total():,} calls acknowledged", flush=True)
    return tally


def _killed(folder: Path, seed: int, chance: random.Random) -> list[str]:
    """The lines of a writer that is killed after some calls, in the middle of the next one or the one after."""
    command = [sys.executable, "-m", "benchmarks.search.kills", "--write", folder, str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        # The first line announces that it opens the index; each later call has an announcement and a return.
        lines = [process.stdout.readline()]
        start, calls = time.perf_counter(), chance.randint(0, _MOST_CALLS)
        lines += [process.stdout.readline() for _ in range(2 * calls)]
        # A delay of about a call, as long as calls take now, so that the kill interrupts one on a busy machine too.
        usual = (time.perf_counter() - start) / calls if calls else _OPENING_SECONDS
        time.sleep(chance.random() * 2 * usual)
        process.kill()
        lines += process.stdout.readlines()
        complaint = process.stderr.read()
    if complaint:
        raise LostError(f"writer {seed} failed before it was killed:\n{complaint}")
    return lines


def _possible(
    before: dict[int, str], lines: list[str], seed: int, tally: Tally
) -> tuple[dict[int, str], dict[int, set[str | None]]]:
    """The texts that must be there and, for keys whose last change was not acknowledged, those that may be."""
    expected, maybe = dict(before), {}
    announced = [line.split() for line in lines if line.endswith("\n") and line != "done\n"]
    acknowledged = sum(line == "done\n" for line in lines)
    for position, (what, step, *keys) in enumerate(announced):
        if position < acknowledged:
            tally.acknowledged[what] += 1
        for key in map(int, keys):
            text = f"{key} {seed} {step}" if what == "add" else None
            if position >= acknowledged:
                maybe[key] = {expected.get(key), text}
            elif text is None:
                expected.pop(key, None)
            else:
                expected[key] = text
    tally.interrupted["nothing" if acknowledged == len(announced) else announced[-1][0]] += 1
    return expected, maybe


def check(folder: Path, expected: dict[int, str], maybe: dict[int, set[str | None]]) -> dict[int, str]:
    """The texts that the index holds, which must be the expected ones.

    Raises:
        LostError: something is missing, there again, mixed up, or not found by a search.
    """
    with Index(folder, read_only=True, limits=LIMITS) as index:
        keys = [*map(_KEYS[index.about.keys], range(KEYS))]
        entries = {number: entry for number, entry in enumerate(index.get(keys)) if entry is not None}
        texts = {number: entry.text for number, entry in entries.items()}
        if len(index) != len(texts):
            raise LostError(f"{folder}: has {len(index)} entries, of which {len(texts)} are there")
        for key in range(KEYS):
            if texts.get(key) not in maybe.get(key, {expected.get(key)}):
                raise LostError(f"{folder}: under {key} is {texts.get(key)!r}, not {expected.get(key)!r}")
        if any((entry.key, entry.metadata) != (keys[number], {"n": number}) for number, entry in entries.items()):
            raise LostError(f"{folder}: an entry has another's metadata")
        _search(index, texts)
    return texts


def _search(index: Index, texts: dict[int, str]) -> None:
    if not texts:
        return
    queries = _vectors(texts.values(), index)
    options: list[dict[str, Any]] = [{"exact": True}, {"exact": False}, {"where": {"n": {"$gte": 0}}}]
    for how in options:
        hits = [each[0] for each in index.search(queries, k=1, **how)]
        keys = {_KEYS[index.about.keys](number): text for number, text in texts.items()}
        if {hit.key: hit.text for hit in hits} != keys or min(hit.score for hit in hits) < 0.9999:
            raise LostError(f"{index.folder}: a search ({json.dumps(how)}) does not find each entry by its vector")


def _vectors(texts: Iterable[str], index: Index) -> np.ndarray:
    """A text decides its vector, so that a check can tell whether the two belong together."""
    seeds = (zlib.crc32(text.encode()) for text in texts)
    return np.array([np.random.default_rng(seed).standard_normal(index.about.dimension) for seed in seeds])


if __name__ == "__main__":
    main()
