import pytest

from simcse_engine.measure.flops import Flops
from simcse_engine.measure.results import Latency, Round, Spread, Throughput

# 168 operations a token, as in test_flops.
FLOPS = Flops(layers=3, hidden=2, intermediate=3, pooler="cls_before_pooler")
ROUNDS = [
    Round(sentences=10, tokens=100, seconds=2, peak_per_s=16_800),
    Round(sentences=10, tokens=100, seconds=1, peak_per_s=33_600),
    Round(sentences=20, tokens=200, seconds=5, peak_per_s=8_400),
]


def test_throughput_by_hand() -> None:
    found = Throughput.of(ROUNDS, FLOPS)
    assert (found.rounds, found.tokens_per_sentence) == (3, 10)
    assert found.sentences_per_round == pytest.approx(40 / 3)
    assert found.sentences_per_s == Spread(median=5, min=4, max=10)
    assert found.tokens_per_s == Spread(median=50, min=40, max=100)
    # 50 x 168 / 16,800; 100 x 168 / 33,600; 40 x 168 / 8,400: each against the peak of its own round.
    assert found.efficiency is not None
    assert (found.efficiency.median, found.efficiency.min, found.efficiency.max) == pytest.approx((0.5, 0.5, 0.8))
    # The last layer's share is less, see test_flops.
    assert found.executed_flops_per_token == pytest.approx(132)
    assert found.executed_efficiency is not None
    assert found.executed_efficiency.max == pytest.approx(0.8 * 132 / 168)


def test_texts_of_several_lengths_are_averaged_by_tokens() -> None:
    rounds = [Round(sentences=1, tokens=2, seconds=1), Round(sentences=3, tokens=18, seconds=1)]
    assert Throughput.of(rounds, None).tokens_per_sentence == 5


def test_no_efficiency_without_known_products_or_a_peak() -> None:
    unknown = Throughput.of(ROUNDS, None)
    assert (unknown.efficiency, unknown.executed_efficiency, unknown.executed_flops_per_token) == (None, None, None)
    bare = Throughput.of([Round(sentences=1, tokens=10, seconds=1)], FLOPS)
    assert (bare.efficiency, bare.executed_efficiency) == (None, None)
    assert bare.executed_flops_per_token == pytest.approx(132)


def test_latency_by_hand() -> None:
    found = Latency.of([i / 1000 for i in range(1001)])  # 0 to 1000 ms
    assert found == Latency(calls=1001, p50_ms=500, p90_ms=900, p99_ms=990, p99_9_ms=pytest.approx(999))
    assert Latency.of([0.002]).p99_9_ms == pytest.approx(2)
