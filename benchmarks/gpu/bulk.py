"""Bulk work: sentences a second from texts, from token ids, and by length as a share of the matrix peak."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..flops import Flops
from ..statistics import over, rates, spreads
from ..turns import alternate, timed
from .field import OURS, Field
from .matrix_peak import matrix_peak
from .peers import COMPILED, FURTHER_COMPILED, PEERS, Load

LENGTHS = (8, 16, 32, 64, 128, 256)
# By length and beside compiled ones, the peers that may be the fastest.
_FAST = ("torch-unpadded-fp16", "torch-unpadded-bf16", "torch-fp16")


def texts(field: Field) -> dict[str, Any]:
    """The natural mix of lengths, from texts to vectors."""
    return _bulk(field, PEERS)


def compiled(field: Field) -> dict[str, Any]:
    """The same beside peers that torch compiles first, from texts and from token ids."""
    return _compiled(field, COMPILED)


def further_compiled(field: Field) -> dict[str, Any]:
    """The same beside further ones: compiling takes most of the time."""
    return _compiled(field, FURTHER_COMPILED)


def _compiled(field: Field, loads: Mapping[str, Load]) -> dict[str, Any]:
    return {**_bulk(field, loads), "ids": _from_ids(field, field.contestants(loads), field.ids())}


def ids(field: Field) -> dict[str, Any]:
    """The natural mix of lengths, from token ids to vectors."""
    contestants = field.contestants(PEERS, only=(name for name in PEERS if name.startswith("torch")))
    return {**_from_ids(field, contestants, field.ids()), **field.facts(contestants)}


def lengths(field: Field) -> dict[str, Any]:
    """Token ids of one length to vectors."""
    contestants = field.contestants(PEERS, only=_FAST)
    figures = {}
    for length in LENGTHS:
        count = max(1, field.work.tokens // length)
        figures[str(length)] = _from_ids(field, contestants, field.ids_of([length] * count))
    return {"lengths": figures, **field.facts(contestants)}


def _bulk(field: Field, loads: Mapping[str, Load]) -> dict[str, Any]:
    contestants, work = field.contestants(loads), field.work
    rounds = [field.texts[: work.sentences]] * work.rounds
    seconds = alternate({name: timed(each.encode) for name, each in contestants.items()}, rounds)
    return {
        "sentences_per_second": rates(seconds, len(rounds[0])),
        "ours_over_peer": over(seconds, OURS),
        **field.facts(contestants),
    }


def _from_ids(field: Field, contestants: Mapping[str, Any], sentences: list[list[int]]) -> dict[str, Any]:
    """Rates, and shares of the peak of the same round."""
    work = field.work
    flops = Flops.of(field.ours.encoder.manifest)
    total, count = sum(map(len, sentences)), len(sentences)
    peaks: list[float] = []

    def measure_peak(*_: int) -> None:
        peaks.append(matrix_peak(field.device, size=work.peak_size, seconds=work.peak_seconds))

    ways = {name: timed(each.encode_ids) for name, each in contestants.items() if hasattr(each, "encode_ids")}
    seconds = alternate(ways, [sentences] * work.rounds, before_round=measure_peak)
    shares = {
        name: list(_shares(each, peaks[1:], total * _per_token(flops, name, total / count)))
        for name, each in seconds.items()
    }
    return {
        "sentences_per_second": rates(seconds, count),
        "tokens_per_second": rates(seconds, total),
        "share_of_matrix_peak": spreads(shares),
        "matrix_peak_operations_per_s": spreads({"all": peaks[1:]})["all"],
        "ours_over_peer": over(seconds, OURS),
    }


def _per_token(flops: Flops, name: str, length: float) -> float:
    """What a contestant multiplies for a token: ours leaves out what no vector needs."""
    return flops.executed_per_token(length) if name == OURS else flops.per_token


def _shares(seconds: Iterable[float], peaks: Iterable[float], operations: float) -> Iterable[float]:
    # The first peak is the warm-up's, and is not among these.
    return (operations / s / peak for s, peak in zip(seconds, peaks, strict=True))
