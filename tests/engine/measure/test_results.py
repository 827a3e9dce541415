import pytest

from simcse_engine.measure.results import Latency, Round, Spread, Throughput


def test_throughput_by_hand() -> None:
    rounds = [
        Round(sentences=10, tokens=100, seconds=2),
        Round(sentences=10, tokens=100, seconds=1),
        Round(sentences=20, tokens=200, seconds=5),
    ]
    assert Throughput.of(rounds) == Throughput(
        rounds=3,
        sentences_per_round=pytest.approx(40 / 3),
        tokens_per_sentence=10,
        sentences_per_s=Spread(median=5, min=4, max=10),
        tokens_per_s=Spread(median=50, min=40, max=100),
    )


def test_texts_of_several_lengths_are_averaged_by_tokens() -> None:
    rounds = [Round(sentences=1, tokens=2, seconds=1), Round(sentences=3, tokens=18, seconds=1)]
    assert Throughput.of(rounds).tokens_per_sentence == 5


def test_latency_by_hand() -> None:
    latency = Latency.of([i / 1000 for i in range(1001)])  # 0 to 1000 ms
    assert latency == Latency(calls=1001, p50_ms=500, p90_ms=900, p99_ms=990, p99_9_ms=pytest.approx(999))
    assert Latency.of([0.002]).p99_9_ms == pytest.approx(2)
