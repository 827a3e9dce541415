"""How fast an artifact is here: throughput by length and over texts, latency, and how near that comes to the machine.

Nothing is compared with what was measured some other time: each timed call stands next to a measurement of the
runtime's own matrix product (`simcse_engine.measure.peak`), and all calls take turns.
"""

import contextlib
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..artifact.hub import locate
from ..artifact.manifest import TOKENIZER, Manifest
from ..encoder import Encoder
from ..errors import InputValueError
from ..files.texts import open_texts
from ..inputs import checked_count, checked_device
from ..machine.cpu import affinity, cgroup_quota, features, model_name, usable_cpus
from ..runner import Runner
from ..schedule import limits_for
from ..session import import_runtime
from ..tokenizer import Tokenizer
from .flops import Flops
from .peak import Gemm, Peak
from .results import Bench, Latency, Round, Spread, Throughput
from .samples import sentences

_LENGTHS = (8, 16, 32, 64, 128, 256, 512)
_ROUNDS = 5
_PEAK_SHARE = 0.25  # of the time of what stands next to it
_MOST_TEXTS = 10_000
_TEXTS_A_PORTION = 64  # for each thread

# Does as many portions of work as it is told, and times them.
_Work = Callable[[int], Round]


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What to measure, and for how long.

    Attributes:
        file: texts to measure with, as `simcse_engine.files.texts.open_texts` takes it; of many, the first 10,000. None
            for generated sentences.
        device: as for `Encoder`.
        threads: as for `Encoder`.
        seconds: for each section, which is a length, the texts, or latency. A model so slow that one round takes
            longer is measured for one round.
    """

    file: str | None = None
    device: str | None = None
    threads: int | None = None
    seconds: float = 2.5


def bench(artifact: str, options: BenchOptions, say: Callable[[str], object] = lambda _: None) -> Bench:
    """Measure an artifact.

    Args:
        artifact: its folder, or a hub id.
        options: see there.
        say: told what is being measured.

    Raises:
        InputValueError: the file of texts is empty or cannot be read.
        SimCSEError: as `Encoder` raises.
    """
    texts = _read_texts(options.file)
    folder = locate(artifact).absolute()
    threads = checked_count("threads", options.threads, usable_cpus())
    seconds = options.seconds
    with contextlib.ExitStack() as opened:
        say("opening")
        encoder = opened.enter_context(Encoder(folder, device=options.device, threads=threads, truncate="silent"))
        manifest = encoder.manifest
        tokens = Tokenizer(folder / TOKENIZER, encoder.max_tokens).encode(texts)
        gemm = Gemm.of(manifest.precision, manifest.target)
        peak = None if gemm is None else opened.enter_context(contextlib.closing(Peak(gemm, threads)))
        say("one sentence at a time")
        latency = _latency(encoder, texts, seconds)
        say("texts")
        over_texts = _take_turns([_text_work(encoder, texts, tokens.ids, threads)], peak, seconds)
        # Its sessions go before the runner opens its own, so that the weights are not in memory once more.
        encoder.close()
        device = checked_device(options.device, manifest)
        limits = limits_for(manifest, device)
        runner = Runner(folder, device=device, threads=threads, limits=limits, manifest=manifest)
        opened.enter_context(contextlib.closing(runner))
        stream = list(itertools.chain.from_iterable(tokens.ids))
        works = [
            _length_work(runner, stream, length, threads * limits.batch_tokens, manifest.dimension)
            for length in _lengths(manifest)
        ]
        say("token ids, by length")
        over_lengths = _take_turns(works, peak, seconds)

    flops = Flops.of(manifest)
    return Bench(
        artifact=_artifact_facts(folder, manifest),
        machine=_machine_facts(threads),
        seconds=seconds,
        texts_source=options.file or "generated",
        texts_cut=len(tokens.cut),
        peak=None if gemm is None else _peak_facts(gemm, [*over_texts, *over_lengths]),
        flops_per_token=None if flops is None else flops.per_token,
        lengths=[Throughput.of(rounds, flops) for rounds in over_lengths],
        texts=Throughput.of(over_texts[0], flops),
        latency=latency,
    )


def _read_texts(file: str | None) -> list[str]:
    if file is None:
        return sentences(_MOST_TEXTS)
    with open_texts(file) as lines:
        texts = list(itertools.islice(lines, _MOST_TEXTS))
    if not texts:
        raise InputValueError(f"{file}: no text in it; name a file of texts, or none for generated sentences")
    return texts


def _lengths(manifest: Manifest) -> list[int]:
    """Powers of two below the artifact's limit, and the limit."""
    return [*(length for length in _LENGTHS if length < manifest.max_tokens), manifest.max_tokens]


def _take_turns(works: Sequence[_Work], peak: Peak | None, seconds: float) -> list[list[Round]]:
    """Each work's rounds: in every round the peak and a call, work after work, for ``seconds`` each at most."""
    share = seconds / _ROUNDS
    portions = [_portions(work, share) for work in works]
    rounds: list[list[Round]] = [[] for _ in works]
    end = time.perf_counter() + seconds * (1 + _PEAK_SHARE) * len(works)
    for _ in range(_ROUNDS):
        for work, count, done in zip(works, portions, rounds, strict=True):
            rate = None if peak is None else peak.measure(share * _PEAK_SHARE)
            done.append(replace(work(count), peak_per_s=rate))
        if time.perf_counter() > end:
            break
    return rounds


def _portions(work: _Work, seconds: float) -> int:
    """How many portions take about so long."""
    work(1)  # opens sessions and allocates
    return max(1, round(seconds / work(1).seconds))


def _text_work(encoder: Encoder, texts: Sequence[str], ids: Sequence[list[int]], threads: int) -> _Work:
    """Encode the next texts, from the first again after the last; no text twice in a call."""
    order = itertools.cycle(range(len(texts)))

    def work(portions: int) -> Round:
        chosen = list(itertools.islice(order, min(len(texts), portions * threads * _TEXTS_A_PORTION)))
        tokens = sum(len(ids[i]) for i in chosen)
        batch = [texts[i] for i in chosen]
        start = time.perf_counter()
        encoder.encode(batch)
        return Round(sentences=len(batch), tokens=tokens, seconds=time.perf_counter() - start)

    return work


def _length_work(runner: Runner, stream: Sequence[int], length: int, tokens: int, dimension: int) -> _Work:
    """Run sentences of ``length`` token ids, cut from ``stream``: which ids makes no difference to the time."""
    endless = itertools.cycle(stream)
    a_portion = max(1, tokens // length)

    def work(portions: int) -> Round:
        ids = [list(itertools.islice(endless, length)) for _ in range(portions * a_portion)]
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
        encoder.encode([text])
        now = time.perf_counter()
        calls.append(now - start)
        if now >= end:
            break
    return Latency.of(calls)


def _artifact_facts(folder: Path, manifest: Manifest) -> dict[str, Any]:
    names = ("architecture", "pooler", "precision", "target", "dimension", "max_tokens", "identity")
    return {"path": str(folder), "source": manifest.source.id, **{name: getattr(manifest, name) for name in names}}


def _machine_facts(threads: int) -> dict[str, Any]:
    return {
        "cpu": model_name(),
        "features": features(),
        "threads": threads,
        "affinity": affinity(),
        "quota": cgroup_quota(),
        "onnxruntime": import_runtime().__version__,
    }


def _peak_facts(gemm: Gemm, rounds: Sequence[Sequence[Round]]) -> dict[str, Any]:
    rates = [r.peak_per_s for done in rounds for r in done if r.peak_per_s is not None]
    shape = {"rows": gemm.rows, "inner": gemm.inner, "columns": gemm.columns}
    return {"operator": gemm.operator, **shape, "operations_per_s": Spread.of(rates)}
