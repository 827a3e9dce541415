import dataclasses
from pathlib import Path

import pytest
from benchmarks.flops import Flops

from simcse_engine import Manifest

# A layer of hidden 2, intermediate 3: four products of 2 x 2 and two of 2 x 3 are 28 weights, 56 operations a token.
SMALL = Flops(layers=3, hidden=2, intermediate=3, pooler="avg")


def test_per_token() -> None:
    assert SMALL.per_token == 168
    # BERT-base, 85 million weights in its layers.
    assert Flops(layers=12, hidden=768, intermediate=3072, pooler="cls").per_token == 169_869_312


@pytest.mark.parametrize(
    ("pooler", "tokens", "expected"),
    [
        ("avg", 10, 168),
        ("avg_top2", 1, 168),
        ("avg_first_last", 10, 168),
        # Two whole layers (112), keys and values of the third (16), and the other 40 for one token of 10.
        ("cls_before_pooler", 10, 112 + 16 + 4),
        ("cls_before_pooler", 1, 168),
        # The head's 8 in addition, once per sentence.
        ("cls", 10, 112 + 16 + 4.8),
        ("cls", 1, 176),
    ],
)
def test_executed_per_token(pooler: str, tokens: float, expected: float) -> None:
    assert dataclasses.replace(SMALL, pooler=pooler).executed_per_token(tokens) == pytest.approx(expected)


def test_of_a_manifest(artifact: Path) -> None:
    assert Flops.of(Manifest.read(artifact)) == Flops(layers=3, hidden=32, intermediate=64, pooler="cls")
