"""How fast is our work on a GPU beside the field's? Everybody's figures, in turns, on one model."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np

from simcse_engine import Encoder
from simcse_engine.session.cuda import buckets

from ..contest.peers.models import Model
from ..flops import Flops
from ..harness import Ratio, Spread, alternate, timed
from ..inputs import sentences
from . import torch_peers

LENGTHS = (16, 32, 64, 128)
# Batches, in quarters of the usual one; and tokens of the runs that are recorded.
_SIZES, _RUNS = (1, 4, 16), (16, 64, 128, 256, 512, 1024, 2048)


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


SHORT = Work(tokens=1 << 17, ones=100, rounds=5, batches=1_000)
TRIAL = Work(sentences=40, tokens=256, ones=5, rounds=2, batches=2, peak_size=256)


def speed(ours: Mapping[str, Encoder], model: Model, device: str, work: Work) -> Iterator[dict[str, Any]]:
    """Everybody's figures, in turns; one question's after the other.

    Args:
        ours: our contestants; the first, "ours", is the one that ratios are of.
        model: what the field runs.
        device: "cuda:N", or "cpu" for a trial.
        work: how much.
    """
    texts, encoder = sentences().texts, ours["ours"]
    absent: dict[str, str] = {}
    contestants: dict[str, Any] = dict(ours)
    for peer, make in torch_peers.field(model, device).items():
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
    shown = {key: f"{rate.median:,.0f} ({rate.min:,.0f} to {rate.max:,.0f})" for key, rate in rates.items()}
    print("  bulk, sentences/s:", shown, flush=True)
    yield {
        "absent": absent,
        "bulk_sentences_per_second": rates,
        "bulk_ours_over_peer": ours_over(seconds),
    }
    blocks = [texts[i * work.ones :][: work.ones] for i in range(work.rounds)]
    waits = alternate({key: alone(encode) for key, encode in encoders.items()}, blocks)
    medians = {key: [float(np.median(block)) for block in each] for key, each in waits.items()}
    one = {key: percentiles_ms(each) for key, each in waits.items()}
    print("  one sentence, ms:", one, flush=True)
    yield {"one_sentence_ms": one, "one_sentence_p50_peer_over_ours": ours_over(medians)}
    yield {"lengths": lengths(encoder, contestants, device, work)}
    yield {"sizes": sizes(encoder, device, work)}


def lengths(encoder: Encoder, contestants: Mapping[str, Any], device: str, work: Work) -> dict[int, Any]:
    """Token ids of one length → vectors: tokens a second, and the share of the peak of the same round."""
    flops = Flops.of(encoder.manifest)
    draw = np.random.default_rng(0)
    found = {}
    for length in LENGTHS:
        count = max(1, work.tokens // length)
        ids = draw.integers(1000, 20_000, (count, length)).tolist()
        runs: dict[str, Callable[[Any], object]] = {"ours": lambda given: ours_ids(encoder, given)}
        runs |= {key: each.encode_ids for key, each in contestants.items() if isinstance(each, torch_peers.Torch)}
        seconds: dict[str, list[float]] = {key: [] for key in runs}
        shares: dict[str, list[float]] = {key: [] for key in runs}
        for run in runs.values():
            run(ids)
        for _ in range(work.rounds):
            peak = torch_peers.matrix_peak(device, size=work.peak_size, seconds=0.3)
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
