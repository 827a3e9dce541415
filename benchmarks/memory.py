"""How much memory does a process need at its peak, and does it grow with the number of sentences?

Everybody encodes the same sentences in one call and saves the vectors. Ours is also run as the command
`simcse-engine encode`, which reads lines and writes vectors as it goes.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from harness import write_result
from peers.contestant import Contestant
from peers.field import Field, options
from peers.finished import Finished

FEW, MANY, LINES = 1_000, 5_000, 100_000
GOAL_MB = {"fp32": 300, "int8": 160}

# A process starts with the peak of whoever started it, so one that has loaded nothing stands between.
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


def main() -> None:
    asked = arguments()
    field = Field.enter(asked)
    field.close()
    finished = Finished(f"memory-{field.model.name}")
    called, commanded = {}, {}
    for name, each in field.contestants.items():
        called[name] = {}
        for count in (asked.few, asked.many):
            texts = numbered(field.texts, count)
            key = f"{name}, {each.origin}, {count} sentences"
            called[name][count] = finished.once(key, lambda each=each, texts=texts: call(each, texts))
        print(f"{name:32}", *(f"{count:,}: {mb:.0f} MB" for count, mb in called[name].items()), flush=True)
    for name, artifact in field.artifacts.items():
        commanded[name] = {}
        for count in (asked.few, asked.lines):
            lines = numbered(field.texts, count)
            key = f"{field.contestants[name].origin}, {count} lines"
            commanded[name][count] = finished.once(key, lambda a=artifact, lines=lines: command(a, lines))
        figures = (f"{count:,} lines: {run['peak_mb']:.0f} MB" for count, run in commanded[name].items())
        print(f"simcse-engine encode, {name:10}", *figures, flush=True)
    most = {name: runs[asked.lines]["peak_mb"] for name, runs in commanded.items()}
    write_result(
        f"memory-{field.model.name}",
        {
            "question": "peak resident memory of the process, MB of 10^6 bytes",
            **field.facts(),
            "numbered": "each sentence has a running number at its end",
            "peak_mb_by_sentences_in_one_call": called,
            "command_by_lines": commanded,
            "goal": {
                name: {"peak_mb": GOAL_MB[name.removeprefix("ours-")], "met": mb <= GOAL_MB[name.removeprefix("ours-")]}
                for name, mb in most.items()
            },
        },
    )
    finished.close()


def arguments() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--few", type=int, default=FEW, help="sentences in a call")
    parser.add_argument("--many", type=int, default=MANY, help="sentences in a call; 100000 takes the slowest minutes")
    parser.add_argument("--lines", type=int, default=LINES, help="of the command's longer file")
    return parser.parse_args()


def numbered(texts: list[str], count: int) -> list[str]:
    """So many distinct sentences."""
    return [f"{text} {i}" for i, text in enumerate(itertools.islice(itertools.cycle(texts), count))]


def call(each: Contestant, texts: list[str]) -> float:
    """The peak of a fresh process that encodes the texts in one call, in MB."""
    process = each.process.another()
    process.load(each.bulk)
    process.vectors(texts)
    peak = process.peak_mb()
    process.close()
    return peak


def command(artifact: Path, lines: list[str]) -> dict[str, float]:
    """The peak and the seconds of `simcse-engine encode`, from a file of lines to a file of vectors."""
    with tempfile.TemporaryDirectory() as folder:
        given, vectors = Path(folder, "lines.txt"), Path(folder, "vectors.npy")
        given.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        encode = Path(sys.executable).with_name("simcse-engine"), "encode", artifact, given, "-o", vectors
        watcher = [sys.executable, "-I", "-S", "-c", WATCH, *encode]
        done = subprocess.run(watcher, stdout=subprocess.PIPE, text=True, check=True)
        measured = json.loads(done.stdout.splitlines()[-1])
        code = measured.pop("code")
        if code:
            sys.exit(f"simcse-engine encode ended with {code}")
        rows = len(np.load(vectors, mmap_mode="r"))
    if rows != len(lines):
        sys.exit(f"{rows} rows for {len(lines)} lines")
    return measured


if __name__ == "__main__":
    main()
