"""Whether the sizes that ours runs by suit this GPU: tokens of a batch, runs that are recorded, sessions."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np

from simcse_engine.session.cuda import buckets

from ..statistics import Ratio, over, rates, spreads
from ..turns import alternate, timed
from .field import OURS, Field, Ours, opened

# Batches, in quarters of the usual one; and tokens of runs that are replayed as CUDA graphs.
_SIZES, _RUNS = (1, 2, 4, 8), (16, 64, 128, 256, 512, 1024, 2048)


def batches(field: Field) -> dict[str, Any]:
    """Seconds of bulk work from token ids by the tokens of a batch, over those with the usual one."""
    ours, ids = field.ours, field.ids()
    runner = ours.encoder._model.runner
    usual = runner.limits

    def in_batches_of(tokens: int) -> Callable[[Any], object]:
        def run(sentences: Any) -> None:
            runner.limits = replace(usual, batch_tokens=tokens, full_batch_tokens=tokens)
            ours.encode_ids(sentences)

        return run

    sizes = [usual.batch_tokens * size // 4 for size in _SIZES]
    ways = {str(tokens): timed(in_batches_of(tokens)) for tokens in sizes}
    try:
        seconds = alternate(ways, [ids] * field.work.rounds)
    finally:
        runner.limits = usual
    return {"seconds_by_batch_tokens": spreads(seconds), "over_usual": over(seconds, str(usual.batch_tokens))}


def recorded(field: Field) -> dict[str, Any]:
    """How many times as long one sentence of so many tokens takes when it is not replayed as a CUDA graph."""
    session = field.ours.encoder._model.runner.joint()
    figures = {}
    for tokens in _RUNS:
        ids, lengths = np.full(tokens, 1000), np.array([tokens])

        def run(_: int, ids: Any = ids, lengths: Any = lengths) -> None:
            for _ in range(field.work.ones):
                session.run(ids, lengths)

        def plain(_: int, run: Callable[[int], None] = run) -> None:
            with mock.patch.object(buckets, "GRAPH_TOKENS", 0):
                run(0)

        seconds = alternate({"recorded": timed(run), "plain": timed(plain)}, range(field.work.rounds))
        figures[str(tokens)] = Ratio.of(seconds["plain"], seconds["recorded"])
    return {"unrecorded_over_recorded_by_tokens": figures}


def sessions(field: Field) -> dict[str, Any]:
    """Bulk work from token ids by one session, and by two that share it on the same GPU."""
    ids = field.ids()
    with opened(field.prepared.ours, field.device, sessions=2) as two:
        ways = {OURS: timed(field.ours.encode_ids), "two sessions": timed(Ours(two).encode_ids)}
        seconds = alternate(ways, [ids] * field.work.rounds)
    return {"sentences_per_second": rates(seconds, len(ids)), "over_one_session": over(seconds, OURS)}
