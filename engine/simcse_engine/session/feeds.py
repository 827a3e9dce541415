"""Tokenized sentences → the arrays that a graph of each layout takes: pure functions.

Every caller has sentences laid end to end: ``ids`` int64 [tokens] and ``lengths`` int64 [sentences].
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The input that graphs without ``include_prompt`` have besides: int64 [1], how many first tokens pooling leaves out.
SKIPPED = "skipped"

Ints = NDArray[np.int64]
Feed = Callable[[Ints, Ints, int | None], dict[str, NDArray[Any]]]


@dataclass(frozen=True)
class Size:
    """The shape of a run: how many sentences, tokens of the longest, and tokens of all, padding included."""

    sentences: int
    longest: int
    tokens: int


def ragged(ids: Ints, lengths: Ints, padding_id: int | None) -> dict[str, NDArray[Any]]:  # noqa: ARG001 - as others
    """Unchanged: the graph computes where each sentence begins. Layouts "ragged" and "even"."""
    return {"input_ids": ids, "lengths": lengths}


def packed(ids: Ints, lengths: Ints, padding_id: int | None, size: Size | None = None) -> dict[str, NDArray[Any]]:
    """End to end, with the inputs of fused attention over sentences without padding: layout "packed".

    ``size`` is the shape to pad to, at least as large as that of these sentences. Padding is tokens of id 0 and
    position 0, and sentences of no tokens, all of them at the end.

    Returns:
        int32 ``input_ids`` [tokens], ``position_ids`` [tokens], ``cumulative_lengths`` [sentences + 1] (where each
        sentence begins, and the end) and ``token_offset`` [sentences, longest] (the place on the padded grid of each
        token, then those of the padding).
    """
    if size is None:
        size = Size(len(lengths), int(lengths.max()), len(ids))
    input_ids, position_ids = np.zeros(size.tokens, np.int32), np.zeros(size.tokens, np.int32)
    input_ids[: len(ids)] = ids
    position_ids[: len(ids)] = positions(ids, lengths, padding_id)
    boundaries = np.full(size.sentences + 1, len(ids), np.int32)
    boundaries[0] = 0
    np.cumsum(lengths, out=boundaries[1 : len(lengths) + 1])
    filled = np.zeros((size.sentences, size.longest), bool)
    filled[: len(lengths)] = np.arange(size.longest) < lengths[:, None]
    places = np.arange(filled.size, dtype=np.int32).reshape(filled.shape)
    return {
        "input_ids": input_ids,
        "position_ids": position_ids,
        "cumulative_lengths": boundaries,
        "token_offset": np.concatenate([places[filled], places[~filled]]).reshape(filled.shape),
    }


def grid(ids: Ints, lengths: Ints, padding_id: int | None) -> dict[str, NDArray[Any]]:
    """One row per sentence, padded at the right: layout "grid".

    Returns:
        int32 [sentences, longest] ``input_ids``, ``position_ids`` and ``attention_mask`` (1 where there is a token).
        Padding has id 0 and position 0; the mask keeps it out of every result.
    """
    filled = np.arange(int(lengths.max())) < lengths[:, None]
    arrays = {"attention_mask": filled.astype(np.int32)}
    for name, flat in (("input_ids", ids), ("position_ids", positions(ids, lengths, padding_id))):
        arrays[name] = np.zeros(filled.shape, np.int32)
        arrays[name][filled] = flat
    return arrays


def padded(ids: Ints, lengths: Ints, padding_id: int | None) -> dict[str, NDArray[Any]]:  # noqa: ARG001 - as others
    """One row per sentence, padded at the right, as most graphs take it: layout "padded".

    Returns:
        int64 [sentences, longest] ``input_ids`` and ``attention_mask`` (1 where there is a token). Padding has id 0;
        the mask keeps it out of every result.
    """
    filled = np.arange(int(lengths.max())) < lengths[:, None]
    input_ids = np.zeros(filled.shape, np.int64)
    input_ids[filled] = ids
    return {"input_ids": input_ids, "attention_mask": filled.astype(np.int64)}


def positions(ids: Ints, lengths: Ints, padding_id: int | None) -> NDArray[np.int32]:
    """Each token's row of the position table: int32 [tokens].

    BERT's positions count from 0, and its ``padding_id`` is None. RoBERTa's count from ``padding_id`` + 1. A padding
    token, which a text may contain literally, is not counted and has position ``padding_id``.
    """
    starts = np.cumsum(lengths) - lengths
    if padding_id is None:
        return (np.arange(len(ids)) - np.repeat(starts, lengths)).astype(np.int32)
    real = ids != padding_id
    counted = np.cumsum(real)
    before = counted[starts] - real[starts]
    return np.where(real, counted - np.repeat(before, lengths) + padding_id, padding_id).astype(np.int32)


FEEDS: Mapping[str, Feed] = {"ragged": ragged, "even": ragged, "packed": packed, "grid": grid, "padded": padded}
