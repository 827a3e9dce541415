"""Does tokenization bound a GPU? What it costs in this process, on one thread and on many, and what overlaps with runs.

python -m benchmarks.choices.tokenization ARTIFACT      an artifact, for its tokenizer

"cpu_us_per_text" is CPU time, whatever else the machine does, the least of all rounds: of the calling thread, which
holds the interpreter's lock (`serial`), and of the library's own threads (`pool`). "predicted" is Amdahl's law with
these two, for so many threads: nothing of it was run. "measured" is the clock on one and on two threads, in turns.

"windows" puts a stand-in in the place of a GPU, which takes a time for each token and no CPU: the real pipeline with
windows of so many texts, by the clock.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine import Manifest
from simcse_engine.artifact.manifest import TOKENIZER
from simcse_engine.distinct import Distinct
from simcse_engine.pipeline import submit_windows
from simcse_engine.runner import Runner, _end_to_end
from simcse_engine.schedule import GPU_LIMITS, make_batches
from simcse_engine.session.feeds import packed
from simcse_engine.tokenizer import Tokenizer

from ..inputs import MAX_TOKENS, sentences
from ..record import ROOT, write_result
from ..statistics import over, spreads
from ..turns import alternate

TEXTS, ROUNDS, COST_ROUNDS = 6_000, 15, 40
WINDOWS = (512, 1024, 2048, 4096, 8192)
PARTS = (256, 512, 1024)  # texts that the library gets at once
THREADS = (1, 2, 4, 8, 16)
# Nanoseconds of the stand-in for a token: about as long as two CPUs tokenize it, which is the ratio predicted for an
# H100 with 16 of them, and twice as long.
STAND_INS = (1000, 2000)
_US = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--rate", action="store_true", help=argparse.SUPPRESS)  # in a child process
    arguments = parser.parse_args()
    found = sentences()
    texts, tokenizer = found.texts[:TEXTS], Tokenizer(arguments.artifact / TOKENIZER, MAX_TOKENS, together=True)
    if arguments.rate:
        print(max(rate(tokenizer, texts) for _ in range(3)))
        return
    ids = tokenizer.encode(texts).ids
    costs = alternate(
        {
            "one_by_one": lambda _: cpu_us(partial(one_by_one, tokenizer), texts),
            "through_generators": lambda _: cpu_us(partial(through_generators, tokenizer), texts),
            "engine": lambda _: cpu_us(partial(in_windows, tokenizer, 2048), texts),
            "engine_in_windows_of_8192": lambda _: cpu_us(partial(in_windows, tokenizer, 8192), texts),
            **{
                f"in_parts_of_{size}": partial(lambda size, _: cpu_us(partial(in_parts, tokenizer, size), texts), size)
                for size in PARTS
            },
            "batches_and_arrays": lambda _: cpu_us(partial(laid_out, ids), texts),
        },
        range(COST_ROUNDS),
    )
    least = {name: {key: min(each[key] for each in many) for key in many[0]} for name, many in costs.items()}
    serial = {name: [each["serial"] for each in many] for name, many in costs.items() if name != "batches_and_arrays"}
    engine, after = least["engine"], least["batches_and_arrays"]
    predicted = {threads: 1e6 / (engine["serial"] + engine["pool"] / threads) for threads in THREADS}
    measured = alternate(
        {threads: partial(in_child, arguments.artifact, threads) for threads in (1, 2)}, range(5), warm_up=0
    )
    windows = {}
    for ns in STAND_INS:
        seconds = alternate(
            {size: partial(pipeline_s, arguments.artifact, tokenizer, texts, size, ns) for size in WINDOWS},
            range(ROUNDS),
        )
        windows[f"{ns} ns a token"] = {
            "us_per_text": spreads({name: [each / TEXTS * _US for each in s] for name, s in seconds.items()}),
            "seconds_over_those_of_8192": over(seconds, 8192),
        }
    figures = {
        "tokens_per_text": sum(map(len, ids)) / len(ids),
        "cpu_us_per_text": least,
        "serial_over_that_through_generators": over(serial, "through_generators"),
        "measured_sentences_per_second": spreads(measured),
        "predicted_sentences_per_second": predicted,
        "predicted_share_of_a_cuda_encode": shares(engine, after, sum(map(len, ids)) / len(ids)),
        "windows": windows,
    }
    about = {"question": "does tokenization bound a GPU?", "sentences": found.source, "texts": TEXTS}
    write_result("tokenization", about, figures)


def one_by_one(tokenizer: Tokenizer, texts: Sequence[str]) -> None:
    """As on a CPU."""
    for text in texts:
        tokenizer._cut(tokenizer._tokenizer.encode(text))


def in_parts(tokenizer: Tokenizer, size: int, texts: Sequence[str]) -> None:
    """In windows of 2,048, of which the library gets so many texts at once."""
    for start in range(0, len(texts), 2048):
        ids: list[list[int]] = []
        for first in range(start, min(start + 2048, len(texts)), size):
            ids += tokenizer.encode(texts[first : first + size]).ids


def through_generators(tokenizer: Tokenizer, texts: Sequence[str]) -> None:
    """As where a text is long: each is looked at by itself."""
    for start in range(0, len(texts), 2048):
        _ = [ids for ids, _ in tokenizer._kept(texts[start : start + 2048])]


def in_windows(tokenizer: Tokenizer, size: int, texts: Sequence[str]) -> None:
    """As the engine does for a GPU."""
    for start in range(0, len(texts), size):
        tokenizer.encode(texts[start : start + size])


def laid_out(ids: list[list[int]], texts: Sequence[str]) -> None:
    """What Python does besides, for each text: batches, their arrays, and vectors written in order."""
    out = np.empty((2048, 384), np.float32)
    for start in range(0, len(texts), 2048):
        window = ids[start : start + 2048]
        for batch in make_batches([len(each) for each in window], GPU_LIMITS):
            packed(*_end_to_end(window, batch), None)
            out[batch] = np.zeros((len(batch), 384), np.float32)


def cpu_us(work: Callable[[Sequence[str]], object], texts: Sequence[str]) -> dict[str, float]:
    """CPU time of a text: of this thread, and of all others."""
    process, thread = time.process_time(), time.thread_time()
    work(texts)
    serial = time.thread_time() - thread
    pool = time.process_time() - process - serial
    return {"serial": serial / len(texts) * _US, "pool": pool / len(texts) * _US}


def rate(tokenizer: Tokenizer, texts: Sequence[str]) -> float:
    """Sentences per second by the clock."""
    start = time.perf_counter()
    in_windows(tokenizer, 2048, texts)
    return len(texts) / (time.perf_counter() - start)


def in_child(artifact: Path, threads: int, _: int) -> float:
    """`rate` in a process whose pool has so many threads."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "benchmarks.choices.tokenization", str(artifact), "--rate"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


class StandIn:
    """In the place of a session on a GPU: one run at a time, a time for each token, no CPU."""

    def __init__(self, ns_per_token: float) -> None:
        self._seconds = ns_per_token / 1e9
        self._device = threading.Lock()

    def run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64], _: int = 0) -> NDArray[np.float32]:
        packed(input_ids, lengths, None)
        with self._device:
            time.sleep(len(input_ids) * self._seconds)
        return np.zeros((len(lengths), 384), np.float32)


def pipeline_s(artifact: Path, tokenizer: Tokenizer, texts: Sequence[str], window: int, ns: float, _: int) -> float:
    """The seconds that texts take with windows of so many."""
    limits = replace(GPU_LIMITS, window_texts=window)
    runner = Runner(artifact, Manifest.read(artifact), devices=["cuda"], threads=1, limits=limits)
    stand_in: Any = StandIn(ns)
    runner.replicas[0]._sessions[1] = stand_in
    out, done = np.empty((len(texts), 384), np.float32), 0
    start = time.perf_counter()
    for each in submit_windows([Distinct.of(texts)], tokenizer, runner, "silent", ""):
        each.pending.write(out[done : done + each.count])
        done += each.count
    seconds = time.perf_counter() - start
    runner.close()
    return seconds


def shares(engine: dict[str, float], after: dict[str, float], tokens: float) -> dict[str, Any]:
    """What of an encode on CUDA tokenization takes on 16 threads, at the rates that an H100 was measured at."""
    results = ROOT / "benchmarks/results"
    bulk = json.loads((results / "gpu-minilm.json").read_text())["bulk_sentences_per_second"]["ours"]["median"]
    lengths = json.loads((results / "gpu-first-run.json").read_text())["simcse-engine bench, MiniLM fp16"]["by_tokens"]
    by_length = {int(name): each["tokens_per_second"] for name, each in lengths.items() if name.isdecimal()}
    graph = float(np.interp(tokens, sorted(by_length), [by_length[length] for length in sorted(by_length)])) / tokens
    on_16 = engine["serial"] + engine["pool"] / 16
    held = engine["serial"] + after["serial"] + after["pool"]
    return {
        name: {
            "sentences_per_second": each,
            "us_per_text": _US / each,
            "tokenization": on_16 * each / _US,
            "interpreter_lock": held * each / _US,
        }
        for name, each in {"from_text": bulk, "graph_alone": graph}.items()
    }


if __name__ == "__main__":
    main()
