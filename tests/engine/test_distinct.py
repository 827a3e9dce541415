"""Texts that repeat are encoded once, and each gets its vector."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcse_engine import distinct as distinct_module
from simcse_engine.distinct import Distinct


@given(texts=st.lists(st.text("abc", max_size=2), max_size=40), rows=st.integers(1, 7))
def test_distinct(texts: list[str], rows: int) -> None:
    distinct = Distinct.of(texts)
    once = list(dict.fromkeys(texts))
    assert list(distinct.texts) == once
    assert (distinct.counts is None) == (once == texts)
    assert distinct.count(once) == len(texts)
    assert distinct.count(once[1:]) == sum(text != once[0] for text in texts)
    assert [distinct.position(text) for text in once] == [texts.index(text) for text in once]
    vectors = np.full((len(texts), 2), np.nan, np.float32)
    vectors[: len(once)] = np.arange(2 * len(once)).reshape(-1, 2)
    expected = [[2 * once.index(text), 2 * once.index(text) + 1] for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct_module, "_SPREAD_ROWS", rows)
        assert distinct.spread(vectors) is vectors
    assert vectors.tolist() == expected


def test_texts_of_which_none_repeats_are_the_caller_s() -> None:
    for texts in (["a"], ["a", "b"], ()):
        assert Distinct.of(texts).texts is texts
