"""How wide texts are on a terminal."""

import pytest

from simcse_engine.cli.widths import fitted, width_of


@pytest.mark.parametrize(("text", "width"), [("", 0), ("abc", 3), ("弹吉他", 6), ("e\u0301", 1), ("a\u200db", 2)])
def test_width(text: str, width: int) -> None:
    assert width_of(text) == width


@pytest.mark.parametrize("text", ["", "abc", "abcdef", "弹吉他弹吉他", "e\u0301" * 9, "a" * 1000])
def test_fitted(text: str) -> None:
    for width in (4, 5, 6):
        line = fitted(text, width)
        assert width_of(line) == width
        assert line.rstrip() == text or line.rstrip().endswith("…")
