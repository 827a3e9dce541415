"""Does an index keep what it has acknowledged, whenever its writer is killed?

A process opens an index, adds, replaces, removes by key and by filter, changes metadata, compacts and saves the ANN
graph for ever (`writers`). It announces each call on a pipe, and says when it has returned. A kill -9 ends it at a
random moment. Then the index must open, hold every acknowledged entry with its own vector and metadata, and nothing
else, and find it by the ANN graph, exactly, and by its words. What was announced and had not returned may be there or
not; an addition is committed in batches. The next writer goes on with the same index.

    python -m benchmarks.search.kills                   1,000 kills, seven minutes
    python -m benchmarks.search.kills --trial           some kills, to see that everything works
"""

import argparse
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from simcse_engine import Index
from simcse_engine.errors import IndexWarning

from ..inputs import MINILM
from ..record import RESULTS_VARIABLE, ROOT, TRIAL, write_result
from .writers import KEYS, LIMITS, Entries, Kept, after, key_of, vectors_of

# What an index can be; each is written, killed and checked on its own.
INDEXES: tuple[dict[str, Any], ...] = (
    {},
    {"keys": "str"},
    {"keywords": True},
    {"keys": "uuid", "keywords": True},
)
_MOST_CALLS = 25
_OPENING_SECONDS = 0.01


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
    parser.add_argument("--trial", action="store_true")
    arguments = parser.parse_args()
    if arguments.trial:
        os.environ[RESULTS_VARIABLE], arguments.kills = str(TRIAL), 40
    # It warns of an ANN graph that is not what was saved: kills must leave none.
    warnings.simplefilter("error", IndexWarning)
    home, count = Path(tempfile.mkdtemp(prefix="kills-")), len(INDEXES)
    start = time.perf_counter()
    folders = [home / str(number) for number in range(count)]
    for folder, options in zip(folders, INDEXES, strict=True):
        Index.create(folder, MINILM.artifact(), **options).close()
    shares = [len(range(number, arguments.kills, count)) for number in range(count)]
    tally = Tally()
    with ThreadPoolExecutor(count) as pool:
        for share in pool.map(kill_often, folders, shares, range(count)):
            tally.add(share)
    question = "is anything lost that was acknowledged, where a writer is killed at random moments?"
    about = {"question": question, "indexes": INDEXES}
    write_result("kills", about, {"lost": 0, "seconds": time.perf_counter() - start, **vars(tally)})
    # Where something was lost, the indexes stay for a look.
    shutil.rmtree(home)


def kill_often(folder: Path, kills: int, seed: int = 0) -> Tally:
    """Let writers write into an empty index, and kill each; the seed decides what is written, and the moments.

    Raises:
        LostError: see `check`.
    """
    expected: dict[int, Kept] = {}
    chance, tally = random.Random(seed), Tally()
    for turn in range(seed * kills, (seed + 1) * kills):
        lines = _killed(folder, turn, chance)
        expected = check(folder, *_possible(expected, lines, turn, tally), before=expected)
        tally.kills += 1
        if tally.kills % 50 == 0:
            print(f"{folder.name}: {tally.kills} kills, {tally.acknowledged.total():,} calls acknowledged", flush=True)
    return tally


def _killed(folder: Path, seed: int, chance: random.Random) -> list[str]:
    """The lines of a writer that is killed after some calls, in the middle of the next one or the one after."""
    command = [sys.executable, "-m", "benchmarks.search.writers", folder, str(seed)]
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
    before: dict[int, Kept], lines: list[str], seed: int, tally: Tally
) -> tuple[dict[int, Kept], dict[int, list[Kept | None]]]:
    """The entries that must be there and, for keys whose last change was not acknowledged, those that may be."""
    expected, maybe = dict(before), {}
    announced = [line for line in lines if line.endswith("\n") and line != "done\n"]
    acknowledged = sum(line == "done\n" for line in lines)
    for position, call in enumerate(announced):
        changes = after(call, seed, expected)
        if position < acknowledged:
            tally.acknowledged[call.split()[0]] += 1
            expected = {key: entry for key, entry in {**expected, **changes}.items() if entry is not None}
        else:
            maybe = {key: [expected.get(key), entry] for key, entry in changes.items()}
    tally.interrupted["nothing" if acknowledged == len(announced) else announced[-1].split()[0]] += 1
    return expected, maybe


def check(
    folder: Path, expected: Entries, maybe: Mapping[int, list[Kept | None]], *, before: Entries = MappingProxyType({})
) -> dict[int, Kept]:
    """The entries that the index holds, which must be the expected ones, or for some keys what may be.

    ``before`` are entries that it had, and that are found by their words no more where they are gone.

    Raises:
        LostError: something is missing, there again, mixed up, or not found by a search.
    """
    with Index(folder, read_only=True, limits=LIMITS) as index:
        found = index.get([key_of(index, number) for number in range(KEYS)])
        entries = {number: Kept(each.text, each.metadata) for number, each in enumerate(found) if each is not None}
        if len(index) != len(entries):
            raise LostError(f"{folder}: has {len(index)} entries, of which {len(entries)} are there")
        for key in range(KEYS):
            held, wanted = entries.get(key), expected.get(key)
            if held not in maybe.get(key, [wanted]):
                raise LostError(f"{folder}: under {key} is {held!r}, not {wanted!r}")
        if entries:
            _search(index, entries)
        if index.about.keywords:
            _search_words(index, entries, before)
    return entries


def _search(index: Index, entries: Entries) -> None:
    queries = vectors_of((entry.text for entry in entries.values()), index)
    options: list[dict[str, Any]] = [{"exact": True}, {"exact": False}, {"where": {"n": {"$gte": 0}}}]
    for how in options:
        hits = [each[0] for each in index.search(queries, k=1, **how)]
        held = [(hit.key, Kept(hit.text, hit.metadata)) for hit in hits]
        wanted = [(key_of(index, number), entry) for number, entry in entries.items()]
        if held != wanted or min(hit.score for hit in hits) < 0.9999:
            raise LostError(f"{index.folder}: a search ({json.dumps(how)}) does not find each entry by its vector")


def _search_words(index: Index, entries: Entries, before: Entries) -> None:
    """Each entry is found by its own word, and none by the word of one that is gone."""
    words = [entry.word for entry in entries.values()]
    gone = sorted({entry.word for entry in before.values()} - set(words))
    hits = index.search([*words, *gone], k=2, mode="keywords")
    held = [[hit.text for hit in each] for each in hits]
    if held != [*([entry.text] for entry in entries.values()), *([] for _ in gone)]:
        raise LostError(f"{index.folder}: words do not find each entry, and no other")


if __name__ == "__main__":
    main()
