"""The arguments of a search, checked."""

import math

import numpy as np
import pytest

from simcse_engine.errors import InputTypeError, InputValueError
from simcse_engine.index.search.searcher import SearchOptions


def checked_threshold(threshold: object) -> float | None:
    return SearchOptions.checked(1, threshold, None, None).threshold


def test_threshold() -> None:
    assert checked_threshold(None) is None
    assert checked_threshold(1) == 1
    assert checked_threshold(np.float32(0.5)) == 0.5
    assert checked_threshold(-(10**400)) == -math.inf
    for wrong in ("0.5", True, [0.5]):
        with pytest.raises(InputTypeError):
            checked_threshold(wrong)
    with pytest.raises(InputValueError, match="NaN"):
        checked_threshold(math.nan)
