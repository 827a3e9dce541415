"""A calibration sample is thinned out evenly."""

import itertools

import pytest

from simcse_export.int8 import calibration
from simcse_export.int8.calibration import thinned


@pytest.mark.parametrize("count", [1, 99, 100, 101, 150, 1000, 12345])
def test_thinned_out(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "_MAX_TOKENS", 1000)
    sentences = [[i] * 10 for i in range(count)]
    left = thinned(sentences)
    assert sum(map(len, left)) <= 1000
    assert len(left) >= min(count, 99)
    if count <= 100:
        assert left == sentences
    places = [sentence[0] for sentence in left]
    steps = [b - a for a, b in itertools.pairwise(places)]
    assert not steps or 1 <= min(steps) <= max(steps) <= min(steps) + 1
    assert places[-1] >= count - 2 * max(steps, default=1)
