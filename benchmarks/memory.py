"""How much memory does `simcse-engine encode` need at its peak, and does it grow with the file? FastEmbed for scale."""

import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from harness import write_result
from inputs import minilm, sentences
from peers.environment import FASTEMBED, FASTEMBED_MINILM
from peers.models import MINILM, optimum_graph

FEW, MANY = 1_000, 100_000
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

THEIRS = f"""
import sys
import numpy
from fastembed import TextEmbedding
model = TextEmbedding({FASTEMBED_MINILM!r}, specific_model_path=sys.argv[1], local_files_only=True)
with open(sys.argv[2], encoding="utf-8") as lines:
    numpy.save(sys.argv[3], list(model.embed(line.removesuffix("\\n") for line in lines)))
"""


def main() -> None:
    peer = FASTEMBED.install()
    texts = sentences()
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        vectors = Path(folder, "vectors.npy")
        few, many = (write_lines(Path(folder, f"{count}.txt"), texts.texts, count) for count in (FEW, MANY))
        encode = Path(sys.executable).with_name("simcse-engine"), "encode"
        for precision in GOAL_MB:
            for count, lines in ((FEW, few), (MANY, many)):
                runs[f"ours {precision}, {count:,} lines"] = watch(*encode, minilm(precision), lines, "-o", vectors)
                check_rows(vectors, count)
        if peer.error is None:
            runs[f"fastembed, {FEW:,} lines"] = watch(
                FASTEMBED.python, "-c", THEIRS, optimum_graph(MINILM), few, vectors
            )
            check_rows(vectors, FEW)
    for name, run in runs.items():
        print(f"{name:26} peak {run['peak_mb']:.0f} MB, {run['seconds']:.1f} s")
    few_mb, many_mb = (
        {precision: runs[f"ours {precision}, {count:,} lines"]["peak_mb"] for precision in GOAL_MB}
        for count in (FEW, MANY)
    )
    write_result(
        "memory",
        {
            "question": "peak resident memory of the process, MB of 10^6 bytes, reading lines and writing .npy; MiniLM",
            "sentences": f"{texts.source}, each line with a running number at its end",
            "fastembed": peer,
            "runs": runs,
            "growth_mb": {precision: many_mb[precision] - few_mb[precision] for precision in GOAL_MB},
            "goal": {
                precision: {"peak_mb": goal, "met": many_mb[precision] <= goal} for precision, goal in GOAL_MB.items()
            },
        },
    )


def write_lines(path: Path, texts: list[str], count: int) -> Path:
    """Write so many distinct lines."""
    numbered = enumerate(itertools.islice(itertools.cycle(texts), count))
    path.write_text("".join(f"{text} {i}\n" for i, text in numbered), encoding="utf-8")
    return path


def watch(*command: str | Path) -> dict[str, float]:
    """Run a command; its peak memory in MB and its seconds."""
    watcher = [sys.executable, "-I", "-S", "-c", WATCH, *command]
    done = subprocess.run(watcher, stdout=subprocess.PIPE, text=True, check=True)
    measured = json.loads(done.stdout.splitlines()[-1])
    code = measured.pop("code")
    if code:
        sys.exit(f"{Path(command[0]).name} ended with {code}")
    return measured


def check_rows(vectors: Path, count: int) -> None:
    """Stop unless the file holds so many vectors; it is removed, for the next one to be written."""
    rows = len(np.load(vectors, mmap_mode="r"))
    vectors.unlink()
    if rows != count:
        sys.exit(f"{rows} rows for {count} lines")


if __name__ == "__main__":
    main()
