"""A contestant's process: it loads and encodes on request, and otherwise waits for the next line.

A request is a line of JSON, and so is its answer. Texts come with the request, and only the call that encodes them is
timed, not the transport.

    {"do": "ready"}                              answered once all is imported   → {}
    {"do": "load", ...}                          a `Load`                        → {}
    {"do": "encode", "texts": [...]}             all at once                     → {"seconds": 1.5}
    {"do": "each", "texts": [...]}               one at a time                   → {"seconds": [0.004, ...]}
    {"do": "save", "texts": [...], "to": path}   their vectors, as a .npy file   → {}
    {"do": "save", ..., "alone": true}           the same, each encoded alone    → {}
    {"do": "peak"}                               most memory it ever held        → {"mb": 130.5}

Where something fails, the answer is {"error": why}. When the requests end, the process ends at once, with all processes
that the library has started: its client has closed it, or was killed.
"""

import gc
import json
import os
import queue
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Encode = Callable[[list[str]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a user can choose."""

    batch: int  # sentences a batch, at most
    equal: bool  # batches hold sentences of one length, instead of being cut from the sorted list alone
    workers: int  # batches that run at once
    threads: int  # of each worker

    def __str__(self) -> str:
        lengths = "equal" if self.equal else "sorted"
        return f"{self.workers}x{self.threads}, batches of {self.batch} of {lengths} lengths"


@dataclass(frozen=True, kw_only=True)
class Load:
    """What to load, and how to run it."""

    model: str  # the file or folder that the library reads
    folder: str  # of the tokenizer's files and, for pooler "cls", head.npz
    pooler: str  # "avg" or "cls"
    precision: str | None  # that the library is set to; None for its default
    setting: Setting


def serve(load: Callable[[Load], Encode]) -> None:
    """Answer requests until there are no more. The process leads a group of its own."""
    # Libraries print, and their lines must not stand between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    encode: Encode = _nothing_loaded
    for line in _lines():
        request = json.loads(line)
        what = request.pop("do")
        answer: dict[str, Any] = {}
        try:
            if what == "ready":
                pass
            elif what == "load":
                # The model before is freed first, reference cycles included: two would need the memory of both.
                encode = _nothing_loaded
                gc.collect()
                encode = load(Load(**{**request, "setting": Setting(**request["setting"])}))
            elif what == "save":
                texts = request["texts"]
                alone = request["alone"]
                np.save(request["to"], np.concatenate([encode([text]) for text in texts]) if alone else encode(texts))
            elif what == "encode":
                answer = {"seconds": _seconds(encode, request["texts"])}
            elif what == "each":
                answer = {"seconds": [_seconds(encode, [text]) for text in request["texts"]]}
            elif what == "peak":
                answer = {"mb": _peak_mb()}
            else:
                answer = {"error": f"unknown request {what!r}"}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def _lines() -> Iterator[str]:
    """Lines of the standard input; its end ends the process."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        # At once: nobody waits for the work in hand, and some libraries abort when the interpreter tears them down.
        # The whole group: OpenVINO's telemetry forks a process that waits for the lock of this very thread's stdin.
        os.killpg(0, signal.SIGKILL)

    # In a thread of its own, so that the end is seen in the midst of work.
    threading.Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()


def _nothing_loaded(texts: list[str]) -> NDArray[np.float32]:
    raise RuntimeError(f"asked to encode {len(texts)} texts before a model was loaded")


def _seconds(encode: Encode, texts: list[str]) -> float:
    start = time.perf_counter()
    encode(texts)
    return time.perf_counter() - start


def _peak_mb() -> float:
    """Peak resident memory in MB of 10^6 bytes."""
    # Linux's own figure where there is one: the other starts with the peak of the parent process.
    status = Path("/proc/self/status")
    if status.is_file():
        (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
