"""The cache: least recently used, exact, and no larger in memory than it says."""

import gc
import threading
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcse_engine.batching.cache import VectorCache

VECTOR = np.arange(8, dtype=np.float32)


@given(calls=st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=80), room=st.integers(0, 6))
def test_as_a_model(calls: list[tuple[bool, int]], room: int) -> None:
    probe = VectorCache(10**6)
    probe.put("0", VECTOR, 1, False)
    cache, model = VectorCache(room * probe.bytes), OrderedDict[str, int]()
    hits = misses = 0
    for puts, number in calls:
        text = str(number)
        if puts:
            cache.put(text, VECTOR + number, number, number % 2 == 0)
            if text not in model and room:
                model[text] = number
                if len(model) > room:
                    model.popitem(last=False)
            continue
        known = cache.get(text)
        assert (known is None) == (text not in model)
        if known is None:
            misses += 1
        else:
            hits += 1
            model.move_to_end(text)
            assert np.array_equal(known.vector, VECTOR + number)
            assert (known.tokens, known.cut) == (number, number % 2 == 0)
    assert (cache.hits, cache.misses, cache.bytes) == (hits, misses, len(model) * probe.bytes)


@pytest.mark.parametrize("dimension", [32, 768])
@pytest.mark.parametrize("text", [lambda i: f"number {i}", lambda i: f"é {i}" * 20, lambda i: np.str_(f"漢字 {i}")])
def test_it_takes_no_more_memory_than_it_may(dimension: int, text: Callable[[int], str]) -> None:
    vector, limit = np.ones(dimension, np.float32), 1_000_000
    gc.collect()
    tracemalloc.start()
    try:
        cache = VectorCache(limit)
        before, _ = tracemalloc.get_traced_memory()
        for number in range(5000):
            cache.put(text(number), vector, 1000 + number, False)
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before <= limit
    assert now - before >= 0.7 * limit, "it uses what it may"
    assert cache.bytes <= limit
    assert cache.get(text(4999)) is not None
    assert cache.get(text(0)) is None


def test_what_is_larger_than_the_cache_does_not_empty_it() -> None:
    cache = VectorCache(2000)
    cache.put("a", VECTOR, 1, False)
    cache.put("b" * 2000, VECTOR, 1, False)
    assert cache.get("a") is not None


def test_a_vector_is_a_copy() -> None:
    cache, vector = VectorCache(10_000), VECTOR.copy()
    cache.put("a", vector, 1, False)
    vector[:] = 0
    known = cache.get("a")
    assert known is not None
    assert np.array_equal(known.vector, VECTOR)


def test_many_threads() -> None:
    cache = VectorCache(20_000)

    def work(seed: int) -> None:
        for number in np.random.default_rng(seed).integers(0, 60, 3000).tolist():
            known = cache.get(str(number))
            if known is None:
                cache.put(str(number), VECTOR + number, number, False)
            else:
                assert known.tokens == number

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.hits + cache.misses == 4 * 3000
    assert cache.bytes == sum(known.size for known in cache._entries.values()) <= 20_000
