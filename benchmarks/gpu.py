"""Is our work on a GPU right, and how fast is it? One command for a machine with an NVIDIA GPU.

First of every artifact (float16 and float32 for CUDA, and TensorRT's engines where its libraries are): its own check
texts, cosines to float32 on the CPU, STS, where each node runs, and memory over 10,000 batches. Then beside
transformers on torch and sentence-transformers, on the same sentences, everybody in turns: bulk work from texts, token
ids by length and as a share of the matrix peak of the same run, and one sentence at a time.

    benchmarks/gpu.py                        all of it, to benchmarks/results/gpu-MODEL.json
    benchmarks/gpu.py --models minilm
    benchmarks/gpu.py --checks               correctness alone
    benchmarks/gpu.py --device cpu --trial   on any machine: that the script itself works; its figures mean nothing

Wants the extras [export], [gpu] and sentence-transformers, in an environment without the CPU's onnxruntime.
"""

import argparse
import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import gpu_checks as checks
import gpu_torch
from harness import ROOT, Ratio, Spread, alternate, timed, write_result
from inputs import bert_base, bert_base_checkpoint, minilm, minilm_checkpoint, sentences
from simcse_engine import Encoder, UnverifiedWarning
from simcse_engine.artifact import Manifest
from simcse_engine.errors import SimCSEError
from simcse_engine.flops import Flops
from simcse_engine.session import buckets

LENGTHS = (16, 32, 64, 128)
# Batches, in quarters of the usual one; and tokens of the runs that are recorded.
_SIZES, _RUNS = (1, 4, 16), (16, 64, 128, 256, 512, 1024, 2048)
_STS = ROOT.parent / "shared/sts"


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model and its artifacts: ``artifact(precision, target)`` makes one, where it is not there."""

    checkpoint: Callable[[], Path]
    artifact: Callable[..., Path]
    pooler: str


MODELS = {
    "minilm": Model(checkpoint=minilm_checkpoint, artifact=minilm, pooler="avg"),
    "bert-base": Model(checkpoint=bert_base_checkpoint, artifact=bert_base, pooler="cls"),
}


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much is measured.

    Attributes:
        sentences: in a round of bulk work.
        tokens: in a round of one length.
        ones: sentences encoded one by one, a contestant and round.
        rounds: of everything.
        batches: over which memory is watched.
        peak_size: rows and columns of the matrices whose product is the peak.
    """

    sentences: int = 6_000
    tokens: int = 1 << 20
    ones: int = 200
    rounds: int = 7
    batches: int = 10_000
    peak_size: int = 8192


TRIAL = Work(sentences=40, tokens=256, ones=5, rounds=2, batches=2, peak_size=256)


def main() -> None:
    asked = arguments()
    work = TRIAL if asked.trial else Work()
    on_cpu = asked.device == "cpu"
    for name in asked.models:
        model = MODELS[name]
        # On a CPU the float32 artifact stands in for those of a GPU.
        targets = {"fp32": ("fp32", "cpu")} if on_cpu else {"fp16": ("fp16", "cuda"), "fp32": ("fp32", "cuda")}
        artifacts = {key: model.artifact(*target) for key, target in targets.items()}
        exact = model.artifact("fp32", "cpu")
        gpu = gpu_torch.device_name(asked.device)
        print(f"\n{name} on {gpu}", flush=True)
        checked = {key: check(artifact, exact, asked, work) for key, artifact in artifacts.items()}
        result: dict[str, Any] = {"gpu": gpu, "trial": asked.trial, "model": name, "checks": checked}
        if not asked.checks:
            result |= speed(name, next(iter(artifacts.values())), asked.device, work)
        write_result(f"gpu-{name}{'-trial' if asked.trial else ''}", result)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--device", default="cuda:0", help="cuda:N, or cpu with --trial")
    parser.add_argument("--checks", action="store_true", help="no timing")
    parser.add_argument("--trial", action="store_true", help="a little of everything")
    parser.add_argument("--sts", type=Path, default=_STS if _STS.is_dir() else None, metavar="FOLDER")
    asked = parser.parse_args()
    if asked.device == "cpu" and not asked.trial:
        parser.error("--device cpu goes with --trial: figures of a CPU say nothing here")
    return asked


def check(artifact: Path, exact: Path, asked: argparse.Namespace, work: Work) -> dict[str, Any]:
    """Every check of one artifact; what fails is told, and the others go on."""
    device = asked.device
    texts = sentences().texts[: work.sentences]
    found: dict[str, Any] = {"identity": Manifest.read(artifact).identity}
    questions: dict[str, Callable[[], dict[str, Any]]] = {
        "verified": lambda: checks.verified(artifact, device),
        "placement": lambda: checks.placement(artifact, device),
    }
    with Encoder(exact, device="cpu", truncate="silent") as reference:

        def on_device(ask: Callable[..., dict[str, Any]], *given: Any, **more: Any) -> dict[str, Any]:
            with opened(artifact, device) as encoder:
                return ask(encoder, *given, **more)

        questions["agreement"] = lambda: on_device(checks.agreement, reference, texts)
        if asked.sts is not None and not asked.trial:
            questions["spearman"] = lambda: on_device(checks.spearman, reference, asked.sts)
        questions["memory"] = lambda: on_device(checks.memory, batches=work.batches, device=device)
        for name, ask in questions.items():
            try:
                found[name] = ask()
            except (SimCSEError, RuntimeError) as error:
                found[name] = {"error": str(error), "met": False}
            print(f"  {artifact.name}: {name}: {'ok' if found[name]['met'] else 'NOT MET'}  {found[name]}", flush=True)
    return found


@contextlib.contextmanager
def opened(artifact: Path, device: str) -> Iterator[Encoder]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnverifiedWarning)
        encoder = Encoder(artifact, device=device, truncate="silent")
    with encoder:
        yield encoder


def speed(name: str, artifact: Path, device: str, work: Work) -> dict[str, Any]:
    """Everybody's figures, in turns."""
    model = MODELS[name]
    texts = sentences().texts
    absent: dict[str, str] = {}
    with opened(artifact, device) as encoder:
        contestants: dict[str, Any] = {"ours": encoder}
        for peer, make in gpu_torch.field(model.checkpoint(), model.pooler, device).items():
            try:
                contestants[peer] = make()
                contestants[peer].encode(texts[:8])
            except Exception as error:  # a peer that is not there is reported, whatever it says
                contestants.pop(peer, None)
                absent[peer] = f"{type(error).__name__}: {error}"[:300]
        encoders = {key: each.encode for key, each in contestants.items()}
        bulk = [texts[: work.sentences]] * work.rounds
        seconds = alternate({key: timed(encode) for key, encode in encoders.items()}, bulk)
        count = min(work.sentences, len(texts))
        rates = {key: Spread.of([count / s for s in each]) for key, each in seconds.items()}
        print("  bulk, sentences/s:", {key: round(rate.median) for key, rate in rates.items()}, flush=True)
        by_length = lengths(encoder, contestants, device, work)
        sized = sizes(encoder, device, work)
        blocks = [texts[i * work.ones :][: work.ones] for i in range(work.rounds)]
        waits = alternate({key: alone(encode) for key, encode in encoders.items()}, blocks)
    medians = {key: [float(np.median(block)) for block in each] for key, each in waits.items()}
    one = {key: percentiles_ms(each) for key, each in waits.items()}
    print("  one sentence, ms:", one, flush=True)
    return {
        "absent": absent,
        "bulk_sentences_per_second": rates,
        "bulk_ours_over_peer": ours_over(seconds),
        "lengths": by_length,
        "sizes": sized,
        "one_sentence_ms": one,
        "one_sentence_p50_peer_over_ours": ours_over(medians),
    }


def lengths(encoder: Encoder, contestants: Mapping[str, Any], device: str, work: Work) -> dict[int, Any]:
    """Token ids of one length → vectors: tokens a second, and the share of the peak of the same round."""
    flops = Flops.of(encoder.manifest)
    draw = np.random.default_rng(0)
    found = {}
    for length in LENGTHS:
        count = max(1, work.tokens // length)
        ids = draw.integers(1000, 20_000, (count, length)).tolist()
        runs: dict[str, Callable[[Any], object]] = {"ours": lambda given: ours_ids(encoder, given)}
        runs |= {key: each.encode_ids for key, each in contestants.items() if isinstance(each, gpu_torch.Torch)}
        seconds: dict[str, list[float]] = {key: [] for key in runs}
        shares: dict[str, list[float]] = {key: [] for key in runs}
        for run in runs.values():
            run(ids)
        for _ in range(work.rounds):
            peak = gpu_torch.matrix_peak(device, size=work.peak_size, seconds=0.3)
            for key, run in runs.items():
                start = time.perf_counter()
                run(ids)
                seconds[key].append(time.perf_counter() - start)
                done = count * length * (flops.executed_per_token(length) if key == "ours" else flops.per_token)
                shares[key].append(done / seconds[key][-1] / peak)
        found[length] = {
            "tokens_per_second": {key: Spread.of([count * length / s for s in each]) for key, each in seconds.items()},
            "share_of_fp16_matrix_peak": {key: Spread.of(each) for key, each in shares.items()},
            "ours_over_peer": ours_over(seconds),
        }
        shown = {key: f"{np.median(each):.2f}" for key, each in shares.items()}
        print(f"  {length} tokens, share of the matrix peak:", shown, flush=True)
    return found


def sizes(encoder: Encoder, device: str, work: Work) -> dict[str, Any]:
    """Whether the sizes that ours runs by are the right ones here: tokens a batch, and how large a run is recorded."""
    runner, draw = encoder._runner, np.random.default_rng(0)
    ids = [draw.integers(1000, 20_000, length).tolist() for length in draw.integers(5, 40, work.tokens // 16)]
    usual = runner._limits

    def in_batches_of(tokens: int) -> Callable[[Any], object]:
        def run(given: Any) -> None:
            runner._limits = replace(usual, batch_tokens=tokens, full_batch_tokens=tokens)
            ours_ids(encoder, given)

        return run

    batches = {
        str(usual.batch_tokens * factor // 4): in_batches_of(usual.batch_tokens * factor // 4) for factor in _SIZES
    }
    by_batch = alternate({key: timed(run) for key, run in batches.items()}, [ids] * work.rounds)
    runner._limits = usual
    found: dict[str, Any] = {"seconds_by_batch_tokens": {key: Spread.of(each) for key, each in by_batch.items()}}
    if device != "cpu":
        found["unrecorded_over_recorded_by_tokens"] = {tokens: unrecorded(encoder, tokens, work) for tokens in _RUNS}
    print("  sizes:", found, flush=True)
    return found


def unrecorded(encoder: Encoder, tokens: int, work: Work) -> Ratio:
    """How many times as long a run of one sentence of so many tokens takes when it is not replayed as a CUDA graph."""
    session = encoder._runner.joint()
    ids, lengths = np.full(tokens, 1000), np.array([tokens])

    def recorded(_: int) -> None:
        for _ in range(work.ones):
            session.run(ids, lengths)

    def plain(_: int) -> None:
        with mock.patch.object(buckets, "GRAPH_TOKENS", 0):
            recorded(0)

    seconds = alternate({"recorded": timed(recorded), "plain": timed(plain)}, range(work.rounds))
    return Ratio.of(seconds["plain"], seconds["recorded"])


def ours_ids(encoder: Encoder, ids: Sequence[list[int]]) -> np.ndarray:
    return encoder._runner.submit(ids).write(np.empty((len(ids), encoder.dimension), np.float32))


def alone(encode: Callable[[list[str]], Any]) -> Callable[[list[str]], list[float]]:
    """Of a block of sentences, the seconds that each took alone."""
    one = timed(encode)
    return lambda block: [one([text]) for text in block]


def percentiles_ms(blocks: list[list[float]]) -> dict[str, float]:
    ms = np.concatenate(blocks) * 1e3
    return {"p50": float(np.percentile(ms, 50)), "p99": float(np.percentile(ms, 99)), "sentences": len(ms)}


def ours_over(seconds: Mapping[str, list[float]]) -> dict[str, Ratio]:
    """How many times as fast ours is, by each peer."""
    return {key: Ratio.of(each, seconds["ours"]) for key, each in seconds.items() if key != "ours"}


if __name__ == "__main__":
    sys.exit(main())
