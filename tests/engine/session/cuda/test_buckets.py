"""A bucket holds the run that it is for, and there are few of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simcse_engine.session.cuda.buckets import GRAPH_TOKENS, LARGEST, bucket, buckets_alone
from simcse_engine.session.feeds import Size

LENGTHS = st.lists(st.integers(1, 70), min_size=1, max_size=40)


@given(LENGTHS)
def test_a_bucket_holds_the_run(lengths: list[int]) -> None:
    size = bucket(len(lengths), max(lengths), sum(lengths))
    if size is None:
        return
    assert size.sentences >= len(lengths)
    assert size.longest >= max(lengths)
    assert size.tokens >= sum(lengths)
    # A sentence that was added begins at a token that exists.
    assert size.sentences == len(lengths) or size.tokens > sum(lengths)
    assert size.sentences <= LARGEST.sentences
    assert size.tokens <= LARGEST.tokens
    assert size.sentences * size.longest <= LARGEST.sentences * LARGEST.longest


def test_what_has_no_bucket() -> None:
    assert bucket(1, 1 + GRAPH_TOKENS, 1 + GRAPH_TOKENS) is None
    assert bucket(200, 400, 1000) is None
    assert bucket(1, GRAPH_TOKENS, GRAPH_TOKENS) == Size(1, GRAPH_TOKENS, GRAPH_TOKENS)


def test_buckets_of_single_sentences() -> None:
    assert buckets_alone(100) == [Size(1, n, n) for n in (16, 32, 64, 128)]


def test_buckets_are_few() -> None:
    random = np.random.default_rng(0)
    runs = [random.integers(2, 129, random.integers(1, 100)) for _ in range(3000)]
    found = {bucket(len(run), int(run.max()), int(run.sum())) for run in runs}
    assert len(found) < 64
