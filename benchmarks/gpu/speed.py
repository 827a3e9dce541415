"""How fast is the engine on a GPU beside torch? All contestants take turns, on one model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest import mock

import numpy as np

from simcse_engine import Encoder
from simcse_engine.session.cuda import buckets

from ..flops import Flops
from ..inputs import Model, sentences
from ..statistics import Ratio, medians_ms, over, percentiles_ms, rates, spreads
from ..turns import alternate, timed, timed_each
from . import torch_peers

LENGTHS = (16, 32, 64, 128)
# Batches, in quarters of the usual one; and tokens of runs that are replayed as CUDA graphs.
_SIZES, _RUNS = (1, 4, 16), (16, 64, 128, 256, 512, 1024, 2048)


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much is measured."""

    sentences: int = 6_000  # in a round of bulk work
    tokens: int = 1 << 20  # in a round of one length
    ones: int = 200  # sentences encoded one by one, per contestant and round
    rounds: int = 7  # of everything
    batches: int = 10_000  # that may not make memory grow
    peak_size: int = 8192  # rows and columns of the matrices whose product is the peak


SHORT = Work(tokens=1 << 17, ones=100, rounds=5, batches=1_000)
LITTLE = Work(sentences=40, tokens=256, ones=5, rounds=2, batches=2, peak_size=256)


def speed(ours: Mapping[str, Encoder], model: Model, device: str, work: Work) -> Iterator[dict[str, Any]]:
    """All figures, one question after the other; ratios are to the contestant "ours"."""
    texts, encoder = sentences().texts, ours["ours"]
    absent: dict[str, str] = {}
    contestants: dict[str, Any] = dict(ours)
    for peer, load in torch_peers.field(model, device).items():
        try:
            contestants[peer] = load()
            contestants[peer].encode(texts[:8])
        except Exception as error:  # an absent peer is reported, whatever it raises
            contestants.pop(peer, None)
            absent[peer] = f"{type(error).__name__}: {error}"[:300]
    encoders = {key: each.encode for key, each in contestants.items()}
    bulk = [texts[: work.sentences]] * work.rounds
    seconds = alternate({key: timed(encode) for key, encode in encoders.items()}, bulk)
    yield {
        "absent": absent,
        "bulk_sentences_per_second": rates(seconds, len(bulk[0])),
        "bulk_ours_over_peer": over(seconds, "ours"),
    }
    blocks = [texts[i * work.ones :][: work.ones] for i in range(work.rounds)]
    waits = alternate({key: timed_each(encode) for key, encode in encoders.items()}, blocks)
    yield {
        "one_sentence_ms": {key: percentiles_ms(each, (50, 99)) for key, each in waits.items()},
        "sentences_a_contestant": work.ones * work.rounds,
        "one_sentence_p50_peer_over_ours": over(medians_ms(waits), "ours"),
    }
    yield {"lengths": lengths(encoder, contestants, device, work)}
    yield {"sizes": sizes(encoder, device, work)}


def lengths(encoder: Encoder, contestants: Mapping[str, Any], device: str, work: Work) -> dict[int, Any]:
    """Token ids of one length → vectors: tokens a second, and the share of the peak of the same round."""
    flops = Flops.of(encoder.manifest)
    draw = np.random.default_rng(0)
    runs: dict[str, Callable[[Any], object]] = {"ours": partial(ours_ids, encoder)}
    runs |= {key: each.encode_ids for key, each in contestants.items() if isinstance(each, torch_peers.Torch)}
    figures = {}
    for length in LENGTHS:
        count = max(1, work.tokens // length)
        ids = draw.integers(1000, 20_000, (count, length)).tolist()
        peaks: list[float] = []

        def measure_peak(*_: int, peaks: list[float] = peaks) -> None:
            peaks.append(torch_peers.matrix_peak(device, size=work.peak_size, seconds=0.3))

        turns = {key: timed(run) for key, run in runs.items()}
        seconds = alternate(turns, [ids] * work.rounds, before_round=measure_peak)
        shares = {}
        for key, each in seconds.items():
            done = count * length * (flops.executed_per_token(length) if key == "ours" else flops.per_token)
            # The first peak is the warm-up's.
            shares[key] = [done / s / peak for s, peak in zip(each, peaks[1:], strict=True)]
        figures[length] = {
            "tokens_per_second": rates(seconds, count * length),
            "share_of_fp16_matrix_peak": spreads(shares),
            "ours_over_peer": over(seconds, "ours"),
        }
    return figures


def sizes(encoder: Encoder, device: str, work: Work) -> dict[str, Any]:
    """Whether the sizes that ours runs by suit this GPU: tokens per batch, and the largest run that is replayed."""
    runner, draw = encoder._runner, np.random.default_rng(0)
    ids = [draw.integers(1000, 20_000, length).tolist() for length in draw.integers(5, 40, work.tokens // 16)]
    usual = runner.limits

    def in_batches_of(tokens: int, ids: Any) -> None:
        runner.limits = replace(usual, batch_tokens=tokens, full_batch_tokens=tokens)
        ours_ids(encoder, ids)

    batches = [usual.batch_tokens * size // 4 for size in _SIZES]
    ways = {tokens: timed(partial(in_batches_of, tokens)) for tokens in batches}
    figures: dict[str, Any] = {"seconds_by_batch_tokens": spreads(alternate(ways, [ids] * work.rounds))}
    runner.limits = usual
    if device != "cpu":
        figures["unrecorded_over_recorded_by_tokens"] = {tokens: unrecorded(encoder, tokens, work) for tokens in _RUNS}
    return figures


def unrecorded(encoder: Encoder, tokens: int, work: Work) -> Ratio:
    """How many times as long one sentence of so many tokens takes when it is not replayed as a CUDA graph."""
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
