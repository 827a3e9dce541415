"""How fast an artifact is on this machine: throughput by length and over texts, and latency.

The lengths take turns, round by round, so that a machine whose speed drifts slows all of them alike.
"""

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..artifact.hub import locate
from ..artifact.manifest import TOKENIZER, Manifest
from ..encoder import Encoder
from ..errors import InputValueError
from ..files.texts import open_texts
from ..inputs import checked_count, checked_number
from ..machine.cpu import affinity, cgroup_quota, features, model_name, usable_cpus
from ..runner import Runner
from ..session.kernels import kernels_for
from ..session.library import import_runtime
from ..tokenizer import Tokenizer
from .results import Bench, Latency, Round, Throughput
from .samples import sentences

_LENGTHS = (8, 16, 32, 64, 128, 256, 512)
_ROUNDS = 5
_MAX_TEXTS = 10_000
_PORTION_TEXTS = 64  # for each thread

# Does a number of portions of work, and times them.
_Work = Callable[[int], Round]


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What to measure, and for how long.

    Attributes:
        file: texts to measure with, the first 10,000 of them, as `simcse-engine encode` takes them. None for generated
            sentences.
        text_column: the column or field of the texts, if it is not "text".
        device: as for `Encoder`.
        threads: as for `Encoder`.
        seconds: per section: each length, the texts, and latency. A model whose first round takes longer is measured
            for that round alone.
    """

    file: str | None = None
    text_column: str | None = None
    device: str | None = None
    threads: int | None = None
    seconds: float = 2.5


def bench(artifact: str, options: BenchOptions, say: Callable[[str], object] = lambda _: None) -> Bench:
    """Measure an artifact.

    Args:
        artifact: its folder, or a hub id.
        options: what to measure, and for how long.
        say: called with the name of each section as it begins.

    Raises:
        InputValueError: the file of texts is empty or cannot be read.
        SimCSEError: as `Encoder` raises.
    """
    threads = checked_count("threads", options.threads, usable_cpus())
    seconds = checked_number("seconds", options.seconds)
    if not 0 < seconds < math.inf:
        raise InputValueError(f"seconds={seconds:g}: expected a number of seconds above 0")
    texts = _read_texts(options.file, options.text_column)
    folder = locate(artifact).absolute()
    say("opening")
    with Encoder(folder, device=options.device, threads=threads, truncate="silent") as encoder:
        device, manifest = encoder.device, encoder.manifest
        tokens = Tokenizer(folder / TOKENIZER, encoder.max_tokens).encode(texts)
        say("one sentence at a time")
        latency = _latency(encoder, texts, seconds)
        say("texts")
        (text_rounds,) = _take_turns([_text_work(encoder, texts, tokens.ids, threads)], seconds)
    # The encoder's sessions are closed before the runner opens its own, so that memory holds the weights once.
    kernels = kernels_for(folder, device)
    with contextlib.closing(Runner(folder, manifest, devices=[device], threads=threads, kernels=kernels)) as runner:
        stream = list(itertools.chain.from_iterable(tokens.ids))
        portion_tokens = threads * runner.limits.batch_tokens
        works = [
            _length_work(runner, stream, length, portion_tokens, manifest.dimension) for length in _lengths(manifest)
        ]
        say("token ids, by length")
        length_rounds = _take_turns(works, seconds)
    facts = ("architecture", "pooler", "precision", "target", "dimension", "max_tokens", "identity")
    return Bench(
        artifact={
            "path": str(folder),
            "source": manifest.source.id,
            **{name: getattr(manifest, name) for name in facts},
        },
        machine={
            "cpu": model_name(),
            "features": features(),
            "threads": threads,
            "affinity": affinity(),
            "quota": cgroup_quota(),
            "onnxruntime": import_runtime().__version__,
            "kernels": kernels.variant,
        },
        seconds=seconds,
        texts_source=options.file or "generated",
        texts_cut=len(tokens.cut),
        lengths=[Throughput.of(rounds) for rounds in length_rounds],
        texts=Throughput.of(text_rounds),
        latency=latency,
    )


def _read_texts(file: str | None, text_column: str | None) -> list[str]:
    if file is None:
        return sentences(_MAX_TEXTS)
    with open_texts(file, text_column) as lines:
        texts = list(itertools.islice(lines, _MAX_TEXTS))
    if not texts:
        raise InputValueError(f"{file}: no text in it; name a file of texts, or none for generated sentences")
    return texts


def _lengths(manifest: Manifest) -> list[int]:
    """Powers of two below the artifact's limit, and the limit."""
    return [*(length for length in _LENGTHS if length < manifest.max_tokens), manifest.max_tokens]


def _take_turns(works: Sequence[_Work], seconds: float) -> list[list[Round]]:
    """The rounds of each work: in every round one call of each, for ``seconds`` per work at most."""
    portions = []
    for work in works:
        work(1)  # opens sessions and allocates
        portions.append(max(1, round(seconds / _ROUNDS / work(1).seconds)))
    rounds: list[list[Round]] = [[] for _ in works]
    end = time.perf_counter() + seconds * len(works)
    for _ in range(_ROUNDS):
        for work, count, done in zip(works, portions, rounds, strict=True):
            done.append(work(count))
        if time.perf_counter() > end:
            break
    return rounds


def _text_work(encoder: Encoder, texts: Sequence[str], ids: Sequence[list[int]], threads: int) -> _Work:
    """Encode the next texts, starting over after the last; no text occurs twice in a call."""
    order = itertools.cycle(range(len(texts)))

    def work(portions: int) -> Round:
        chosen = list(itertools.islice(order, min(len(texts), portions * threads * _PORTION_TEXTS)))
        tokens = sum(len(ids[i]) for i in chosen)
        batch = [texts[i] for i in chosen]
        start = time.perf_counter()
        encoder.encode(batch, prompt="")
        return Round(sentences=len(batch), tokens=tokens, seconds=time.perf_counter() - start)

    return work


def _length_work(runner: Runner, stream: Sequence[int], length: int, tokens: int, dimension: int) -> _Work:
    """Run sentences of ``length`` token ids, cut from ``stream``: the time does not depend on which ids."""
    endless = itertools.cycle(stream)
    portion = max(1, tokens // length)

    def work(portions: int) -> Round:
        ids = [list(itertools.islice(endless, length)) for _ in range(portions * portion)]
        out = np.empty((len(ids), dimension), np.float32)
        start = time.perf_counter()
        runner.submit(ids).write(out)
        return Round(sentences=len(ids), tokens=len(ids) * length, seconds=time.perf_counter() - start)

    return work


def _latency(encoder: Encoder, texts: Sequence[str], seconds: float) -> Latency:
    calls: list[float] = []
    end = time.perf_counter() + seconds
    for text in itertools.cycle(texts):
        start = time.perf_counter()
        encoder.encode([text], prompt="")
        now = time.perf_counter()
        calls.append(now - start)
        if now >= end:
            break
    return Latency.of(calls)
