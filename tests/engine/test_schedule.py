"""Batches are a partition within their budgets, and windows are as small as they say."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcse_engine.artifact.opening import open_artifact
from simcse_engine.schedule import GPU_LIMITS, KERNEL_LIMITS, Limits, limits_for, make_batches, shared, windows

LIMITS = st.builds(
    lambda batch, share, padding: Limits(
        batch_tokens=batch, full_batch_tokens=max(1, int(batch * share)), mixed_padding=padding
    ),
    st.integers(1, 600),
    st.floats(0, 1),
    st.integers(0, 300),
)
LENGTHS = st.one_of(
    st.lists(st.integers(1, 128), max_size=300),
    st.lists(st.integers(1, 8), max_size=300),
    st.lists(st.sampled_from([3, 700]), max_size=50),
)


@given(lengths=LENGTHS, limits=LIMITS, mixed=st.booleans())
def test_every_sentence_in_exactly_one_batch(lengths: list[int], limits: Limits, mixed: bool) -> None:
    batches = make_batches(lengths, limits, mixed=mixed)
    assert all(batches)
    assert sorted(itertools.chain.from_iterable(batches)) == list(range(len(lengths)))


@given(lengths=LENGTHS, limits=LIMITS)
def test_budgets_hold(lengths: list[int], limits: Limits) -> None:
    for batch in make_batches(lengths, limits):
        sizes = [lengths[i] for i in batch]
        if len(batch) == 1:
            continue
        assert sum(sizes) <= limits.batch_tokens
        padded = sum(max(sizes) ** 2 - size**2 for size in sizes)
        assert padded <= limits.mixed_padding * sum(sizes)


@given(lengths=LENGTHS, limits=LIMITS)
def test_one_length_wherever_it_fills_a_batch(lengths: list[int], limits: Limits) -> None:
    batches = make_batches(lengths, limits)
    for length in set(lengths):
        # All but less than a full batch of each length runs among its own kind.
        alone = sum(len(batch) for batch in batches if {lengths[i] for i in batch} == {length})
        size = max(1, limits.batch_tokens // length)
        left = lengths.count(length) - alone
        if size * length >= limits.full_batch_tokens:
            assert left <= lengths.count(length) % size
            assert left * length < limits.full_batch_tokens


@given(lengths=LENGTHS, limits=LIMITS)
def test_longest_first_and_repeatable(lengths: list[int], limits: Limits) -> None:
    batches = make_batches(lengths, limits)
    firsts = [lengths[batch[0]] for batch in batches]
    assert firsts == sorted(firsts, reverse=True)
    assert all(lengths[batch[0]] == max(lengths[i] for i in batch) for batch in batches)
    assert make_batches(lengths, limits) == batches


def test_leftovers_are_joined() -> None:
    assert make_batches(list(range(10, 20)), Limits()) == [list(range(9, -1, -1))]


def test_leftovers_are_not_joined_where_lengths_do_not_mix() -> None:
    assert make_batches(list(range(10, 20)), Limits(), mixed=False) == [[i] for i in range(9, -1, -1)]


@given(lengths=LENGTHS, limits=LIMITS)
def test_without_mixing_each_length_takes_as_few_runs_as_it_can(lengths: list[int], limits: Limits) -> None:
    batches = make_batches(lengths, limits, mixed=False)
    assert all(len({lengths[i] for i in batch}) == 1 for batch in batches)
    for length in set(lengths):
        runs = sum(lengths[batch[0]] == length for batch in batches)
        assert runs == -(-lengths.count(length) // max(1, limits.batch_tokens // length))
    assert all(len(batch) == 1 or len(batch) * lengths[batch[0]] <= limits.batch_tokens for batch in batches)
    # By their tokens, so that what takes longest begins first.
    tokens = [sum(lengths[i] for i in batch) for batch in batches]
    assert tokens == sorted(tokens, reverse=True)


@given(lengths=LENGTHS.filter(bool), batch=st.integers(1, 600), workers=st.integers(1, 9))
def test_in_kernels_workers_get_equally_many_batches_of_nearly_equal_sizes(
    lengths: list[int], batch: int, workers: int
) -> None:
    limits = shared(replace(KERNEL_LIMITS, batch_tokens=batch), lengths, workers)
    sizes = [sum(lengths[i] for i in each) for each in make_batches(lengths, limits)]
    assert len(sizes) <= workers * -(-sum(lengths) // (workers * batch))
    assert all(size < batch + max(lengths) for size in sizes)
    assert all(abs(a - b) < max(lengths) for a, b in itertools.combinations(sizes[:-1], 2))


def test_on_a_gpu_no_window_ends_with_a_small_batch() -> None:
    random = np.random.default_rng(0)
    for texts in (1500, 2048, 4096):
        for mean in (6, 17, 60, 200):
            lengths = (2 + random.gamma(2, mean / 2, texts)).astype(int).clip(3, 256).tolist()
            limits = shared(GPU_LIMITS, lengths, 3)
            sizes = [sum(lengths[i] for i in batch) for batch in make_batches(lengths, limits)]
            assert max(sizes) <= GPU_LIMITS.batch_tokens
            assert min(sizes) > 0.5 * max(sizes) or len(sizes) == 1


@given(lengths=LENGTHS, batch=st.integers(1, 600))
def test_where_nothing_is_padded_batches_are_full(lengths: list[int], batch: int) -> None:
    batches = make_batches(lengths, replace(KERNEL_LIMITS, batch_tokens=batch))
    assert sorted(itertools.chain.from_iterable(batches)) == list(range(len(lengths)))
    sizes = [[lengths[i] for i in each] for each in batches]
    assert all(len(each) == 1 or sum(each) <= batch for each in sizes)
    # Each is as full as the next one's longest sentence lets it be; in all, the longest come first.
    assert all(sum(each) + after[0] > batch for each, after in itertools.pairwise(sizes))
    flat = list(itertools.chain.from_iterable(sizes))
    assert flat == sorted(flat, reverse=True)


def test_by_hand() -> None:
    # 5, 4 and 3 tokens in one batch: 75 scores, 25 of them padding's, for 12 tokens.
    limits = Limits(batch_tokens=12, full_batch_tokens=9, mixed_padding=3)
    assert make_batches([3, 5, 3, 3, 3, 3, 4, 20], limits) == [[7], [1, 6, 5], [0, 2, 3, 4]]
    limits = Limits(batch_tokens=12, full_batch_tokens=9, mixed_padding=2)
    assert make_batches([3, 5, 3, 3, 3, 3, 4, 20], limits) == [[7], [1, 6], [0, 2, 3, 4], [5]]
    assert make_batches([], limits) == []


@given(texts=st.lists(st.text(max_size=30), max_size=200), most=st.integers(1, 20), chars=st.integers(1, 200))
def test_windows(texts: list[str], most: int, chars: int) -> None:
    found = list(windows(iter(texts), Limits(window_texts=most, window_chars=chars)))
    assert list(itertools.chain.from_iterable(found)) == texts
    for window in found:
        assert 0 < len(window) <= most
        # What makes it full is its last text.
        assert sum(map(len, window[:-1])) < chars
    for window in found[:-1]:
        assert len(window) == most or sum(map(len, window)) >= chars


@given(st.integers(1, 10), st.integers(1, 10))
def test_windows_read_no_further_than_they_must(most: int, count: int) -> None:
    read = 0

    def texts() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "text"

    for _ in itertools.islice(windows(texts(), Limits(window_texts=most)), count):
        pass
    assert read == most * count


def test_windows_pass_on_what_is_no_text() -> None:
    assert list(windows([None, 5, "a"], Limits())) == [[None, 5, "a"]]  # type: ignore[list-item]


def test_windows_pass_on_an_error() -> None:
    def texts() -> Iterator[str]:
        yield "a"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(windows(texts(), Limits()))


def test_limits(artifact: Path) -> None:
    manifest = open_artifact(artifact)
    assert limits_for(manifest, "cpu") == Limits()
    assert limits_for(manifest, "cpu", kernels=True) == KERNEL_LIMITS
    packed = replace(manifest, layout="packed", target="cuda", precision="fp16")
    assert limits_for(packed, "cuda:1") == GPU_LIMITS
    assert limits_for(replace(packed, precision="fp32"), "cuda") == replace(GPU_LIMITS, mixed_padding=512)
    compiled = replace(manifest, layout="grid", target="tensorrt", max_batch=64, max_tokens=128)
    limits = limits_for(compiled, "cuda")
    assert (limits.padded, limits.batch_sentences, limits.batch_tokens) == (True, 64, 8192)
    assert limits_for(compiled, "cpu") == Limits(padded=True)
    assert limits_for(replace(manifest, layout="padded"), "cpu") == Limits(padded=True)


def test_a_gpu_s_batches_are_full() -> None:
    lengths = [8 + i % 40 for i in range(5000)]
    batches = make_batches(lengths, GPU_LIMITS)
    tokens = [sum(lengths[i] for i in batch) for batch in batches]
    assert all(count > 0.99 * GPU_LIMITS.batch_tokens for count in sorted(tokens)[1:])


def test_grids_keep_to_what_was_compiled() -> None:
    lengths = [1 + i % 128 for i in range(1000)]
    batches = make_batches(lengths, Limits(padded=True, batch_tokens=64 * 128, batch_sentences=64))
    assert max(len(batch) for batch in batches) == 64
    places = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert places < 1.1 * sum(lengths)
