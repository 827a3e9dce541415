"""How much memory does a process need at its peak, and does it grow with the number of sentences?

Each contestant encodes the same sentences in one call and saves the vectors, peers in batches of 32 with all threads
on one, as a user would begin: some are fastest with settings that take more. Ours also runs as the command
`simcse-engine encode`, which reads lines and writes vectors as it goes.

With `count=100000` the texts are the same 1,000 and 99,000 texts of two words: the peak grows by what their number
costs, and the slowest peer takes minutes.
"""

import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import tether
from ..kept import UNFINISHED, Kept
from .contestant import Contestant
from .field import Field
from .settings import first_setting

QUESTION = "peak resident memory of the process, MB of 10^6 bytes"
FEW = 1_000
GOAL_MB = {"ours-fp32": 300, "ours-int8": 160}

# A process starts with the peak of the one that started it, so one that has loaded nothing stands between.
WATCH = """
import json, os, resource, sys, time
start = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
unit = 1 if sys.platform == "darwin" else 1024
seconds = time.perf_counter() - start
code = os.waitstatus_to_exitcode(status)
print(json.dumps({"code": code, "peak_mb": usage.ru_maxrss * unit / 1e6, "seconds": seconds}))
"""


def measure(field: Field, *, count: int = FEW) -> dict[str, Any]:
    field.close()
    kept = Kept(UNFINISHED / f"memory-{count}-{field.model.name}.json")
    texts = texts_of(field.texts, count)

    def called(name: str, each: Contestant) -> float:
        print(name, flush=True)
        return kept.once(f"{name}, {each.bulk.model}, {each.source}, called", lambda: call(each, texts, field.threads))

    peaks = field.each(called)
    commanded = {
        name: kept.once(f"{name}, {field.contestants[name].source}, commanded", lambda path=path: command(path, texts))
        for name, path in field.artifacts.items()
    }
    return {
        "settings": "peers: batches of 32 of sorted lengths, one at a time",
        "count": count,
        "texts": f"{min(count, FEW):,} sentences, and {max(count - FEW, 0):,} texts of two of their words",
        "peak_mb_of_one_call": peaks,
        "command": commanded,
        "goal": {
            name: {"peak_mb": GOAL_MB[name], "met": run["peak_mb"] <= GOAL_MB[name]}
            for name, run in commanded.items()
            if name in GOAL_MB
        },
    }


def texts_of(sentences: Sequence[str], count: int) -> list[str]:
    """Distinct texts: real sentences, and beyond `FEW` pairs of their words."""
    texts = dict.fromkeys(sentences[: min(count, FEW)])
    words = sorted({word for text in sentences for word in text.lower().split() if word.isalpha()})
    draw = random.Random(0)
    while len(texts) < count:
        texts[" ".join(draw.sample(words, 2))] = None
    return list(texts)


def call(each: Contestant, texts: list[str], threads: int) -> float:
    """The peak of a fresh process that encodes the texts in one call, in MB."""
    process = each.process.another()
    try:
        process.load(replace(each.bulk, setting=first_setting(threads)))
        process.vectors(texts)
        return process.peak_mb()
    finally:
        process.close()


def command(artifact: Path, lines: list[str]) -> dict[str, Any]:
    """The peak and the seconds of `simcse-engine encode`, from a file of lines to a file of vectors."""
    with tempfile.TemporaryDirectory() as folder:
        source, vectors = Path(folder, "lines.txt"), Path(folder, "vectors.npy")
        source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        encode = Path(sys.executable).with_name("simcse-engine"), "encode", artifact, source, "-o", vectors
        done = tether.run([sys.executable, "-I", "-S", "-c", WATCH, *encode], captured=True)
        done.check_returncode()
        measured = json.loads(done.stdout.splitlines()[-1])
        code = measured.pop("code")
        if code:
            raise RuntimeError(f"simcse-engine encode ended with {code}: {done.stderr}")
        rows = len(np.load(vectors, mmap_mode="r"))
    if rows != len(lines):
        raise RuntimeError(f"{rows} rows for {len(lines)} lines")
    return measured
