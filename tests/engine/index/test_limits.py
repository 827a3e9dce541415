"""Work in blocks."""

from simcse_engine.index.limits import blocks


def test_blocks() -> None:
    assert list(blocks(3, 10, 3)) == [(3, 6), (6, 9), (9, 10)]
    assert list(blocks(0, 2, 0)) == [(0, 1), (1, 2)]
    assert list(blocks(5, 5, 2)) == []
