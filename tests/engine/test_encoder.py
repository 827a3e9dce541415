"""`encode` and `stream`, in all kernels: order, errors by position, truncation told, closing, many threads."""

import gc
import itertools
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simcse_engine import Encoder, TruncationWarning
from simcse_engine.errors import (
    ArtifactError,
    ClosedError,
    InputTypeError,
    InputValueError,
    ProviderError,
    TruncationError,
)
from simcse_engine.inputs import OptimizeFor
from simcse_engine.machine.cpu import usable_cpus
from simcse_engine.schedule import Limits
from simcse_export import ExportOptions, export
from support.checkpoints import make_checkpoint

pytestmark = pytest.mark.usefixtures("way")

LONG = "the man plays guitar " * 20

# 400 texts of all lengths up to the limit, more than one joint run takes; those of two words or more are distinct.
MANY = [
    " ".join(["the", "man", "plays", "guitar"][((i // 30 >> 2 * (j % 2)) + i * j) % 4] for j in range(i % 30))
    for i in range(400)
]


@pytest.fixture(scope="module")
def encoder(artifact: Path, way: str) -> Iterator[Encoder]:  # noqa: ARG001 - set before it is opened
    with Encoder(artifact) as opened:
        yield opened


@pytest.fixture(scope="module", params=[1, 2])
def small(request: pytest.FixtureRequest, artifact: Path, way: str) -> Iterator[Encoder]:  # noqa: ARG001 - likewise
    """An encoder that works in small batches and windows."""
    with shrunk(Encoder(artifact, threads=request.param)) as opened:
        yield opened


def shrunk(encoder: Encoder, **limits: int) -> Encoder:
    sizes = {"batch_tokens": 60, "full_batch_tokens": 20, "window_texts": 7, "window_chars": 400} | limits
    encoder._runner.limits = Limits(**sizes)
    return encoder


def one_by_one(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    vectors = [encoder.encode([text], truncate="silent") for text in texts]
    return np.concatenate([np.empty((0, encoder.dimension), np.float32), *vectors])


def assert_same(found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


TEXTS = st.lists(st.text(st.sampled_from("a man plays guitar cat 一é."), max_size=60), max_size=40)


@given(texts=TEXTS)
@settings(max_examples=40)
def test_a_sentence_in_any_company(small: Encoder, texts: list[str]) -> None:
    assert_same(small.encode(texts, truncate="silent"), one_by_one(small, texts))


@given(order=st.permutations(range(60)))
@settings(max_examples=20)
def test_order_is_kept(encoder: Encoder, order: list[int]) -> None:
    texts = MANY[:60]
    assert_same(encoder.encode([texts[i] for i in order]), encoder.encode(texts)[order])


def test_texts_have_their_own_vectors(encoder: Encoder) -> None:
    # Else "same as alone" would pass where everything is the same.
    vectors = encoder.encode(["a man", "a cat", "the man plays guitar", ""])
    assert (np.linalg.norm(vectors[:, None] - vectors[None], axis=2) + np.eye(4) > 1e-3).all()


def test_bulk(encoder: Encoder) -> None:
    assert_same(encoder.encode(MANY), one_by_one(encoder, MANY))


def test_thread_counts_agree(artifact: Path, encoder: Encoder) -> None:
    for threads in (1, 2, 7):
        with Encoder(artifact, threads=threads) as other:
            assert_same(other.encode(MANY), encoder.encode(MANY))


def test_default_threads_are_the_usable_cpus(encoder: Encoder) -> None:
    assert encoder._model._threads == usable_cpus()


def test_unit_vectors(encoder: Encoder) -> None:
    np.testing.assert_allclose(np.linalg.norm(encoder.encode(MANY), axis=1), 1, atol=1e-6)


def test_empty_list(encoder: Encoder) -> None:
    for texts in ([], (), np.array([], str)):
        vectors = encoder.encode(texts)  # type: ignore[arg-type]
        assert (vectors.shape, vectors.dtype) == ((0, 32), np.float32)
    assert list(encoder.stream([])) == []


def test_empty_string(encoder: Encoder) -> None:
    vectors = encoder.encode(["", "a man", ""])
    assert np.isfinite(vectors).all()
    assert_same(vectors[0], vectors[2])


@pytest.mark.parametrize(
    "kind", [tuple, np.array, lambda texts: np.array(texts, object), lambda texts: dict.fromkeys(texts, 1).keys()]
)
def test_other_collections(encoder: Encoder, kind: Callable[[list[str]], Any]) -> None:
    texts = ["a man", "a cat", "the guitar"]
    if kind(texts).__class__.__name__ == "dict_keys":
        with pytest.raises(InputTypeError):
            encoder.encode(kind(texts))
        return
    assert_same(encoder.encode(kind(texts)), encoder.encode(texts))


def test_str_subclass(encoder: Encoder) -> None:
    class Name(str):
        __slots__ = ()

    assert_same(encoder.encode([Name("a man")]), encoder.encode(["a man"]))


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ("a man", "texts is one str; pass a list of str, as in encode([text])"),
        ("", "texts is one str; pass a list of str, as in encode([text])"),
        (b"a man", "texts is one bytes; pass a list of str, as in encode([text])"),
        (None, "texts is NoneType; expected a list of str"),
        (5, "texts is int; expected a list of str"),
        ([None], "texts[0] is NoneType, not str"),
        (["a", b"b"], "texts[1] is bytes, not str"),
        (["a", ["b"]], "texts[1] is list, not str"),
        (np.array([["a"]]), "texts[0] is ndarray, not str"),
        (np.array([1.0]), "texts[0] is float64, not str"),
        (range(3), "texts[0] is int, not str"),
        ([float("nan")], "texts[0] is float, not str"),
    ],
)
def test_wrong_types(encoder: Encoder, texts: Any, says: str) -> None:
    for call in (encoder.encode, lambda given: list(encoder.stream(given))):
        with pytest.raises(InputTypeError, match=f"^{re.escape(says)}$"):
            call(texts)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({"a": 1}, "texts is dict; expected a list of str"),
        ({"a"}, "texts is set; expected a list of str"),
        (frozenset("a"), "texts is frozenset; expected a list of str"),
        ((text for text in "ab"), "texts is generator; expected a list of str; stream() takes iterators"),
        (iter(["a"]), "texts is list_iterator; expected a list of str; stream() takes iterators"),
        (map(str, [1]), "texts is map; expected a list of str; stream() takes iterators"),
        (np.array("a"), "texts is ndarray; expected a list of str"),
    ],
)
def test_collections_without_order_or_size(encoder: Encoder, texts: Any, says: str) -> None:
    with pytest.raises(InputTypeError, match=f"^{re.escape(says)}$"):
        encoder.encode(texts)


def test_positions_in_errors(small: Encoder) -> None:
    for position in (0, 6, 7, 20):
        texts: list[Any] = ["a man"] * 25
        texts[position] = "a \udcff"
        for call in (small.encode, lambda given: list(small.stream(given))):
            with pytest.raises(
                InputValueError, match=rf"^texts\[{position}\] holds a lone surrogate .* at character 2;"
            ):
                call(texts)
            with pytest.raises(InputTypeError, match=rf"^texts\[{position}\] is NoneType"):
                call([*texts[:position], None, *texts[position:]])


def test_position_of_the_first_text_that_is_too_long(small: Encoder) -> None:
    for position in (0, 6, 7, 20):
        texts = [*["a man"] * position, LONG, LONG, "a man"]
        says = rf"^texts\[{position}\] has more than max_tokens=32 tokens"
        with pytest.raises(TruncationError, match=says):
            small.encode(texts, truncate="error")
        with pytest.raises(TruncationError, match=says):
            list(small.stream(texts, truncate="error"))


def test_truncation_warns_and_counts(artifact: Path, small: Encoder) -> None:
    texts = [LONG if i % 5 == 0 else "a man" for i in range(30)]
    says = r"^6 of 30 texts were longer than max_tokens=32 tokens and were cut$"
    for call in (small.encode, lambda given: list(small.stream(given))):
        with pytest.warns(TruncationWarning, match=says) as caught:
            call(texts)
        assert len(caught) == 1
        assert caught[0].filename == __file__
    with Encoder(artifact, truncate="silent") as silent, pytest.warns(TruncationWarning, match=says):
        silent.encode(texts, truncate="warn")


def test_truncation_silent(artifact: Path, encoder: Encoder) -> None:
    # Warnings are errors here.
    vectors = encoder.encode([LONG], truncate="silent")
    with Encoder(artifact, truncate="silent") as silent:
        assert_same(silent.encode([LONG]), vectors)
        assert_same(np.concatenate([*silent.stream([LONG])]), vectors)
    assert_same(vectors, encoder.encode([LONG + " cat cat cat"], truncate="silent"))


def test_truncation_error(artifact: Path, encoder: Encoder) -> None:
    with pytest.raises(TruncationError, match=r"texts\[1\] has more than max_tokens=32 tokens"):
        encoder.encode(["a man", LONG], truncate="error")
    with Encoder(artifact, truncate="error") as strict:
        with pytest.raises(TruncationError) as raised:
            strict.encode([LONG])
        assert isinstance(raised.value, ValueError)
        assert strict.encode(["a man"]).shape == (1, 32)
        assert strict.encode([LONG], truncate="silent").shape == (1, 32)


def test_nothing_is_told_where_nothing_is_cut(artifact: Path) -> None:
    exact = " ".join(["the"] * 30)
    with Encoder(artifact, truncate="error") as strict:
        strict.encode([exact, ""])
        with pytest.raises(TruncationError):
            strict.encode([exact + " the"])


@pytest.mark.parametrize("policy", ["ignore", "", True, 1, None])
def test_unknown_truncate(artifact: Path, encoder: Encoder, policy: Any) -> None:
    says = re.escape(f"truncate={policy!r}: choose 'warn', 'error' or 'silent'")
    with pytest.raises(InputValueError, match=says):
        Encoder(artifact, truncate=policy)
    if policy is not None:
        with pytest.raises(InputValueError, match=says):
            encoder.encode(["a"], truncate=policy)
        with pytest.raises(InputValueError, match=says):
            encoder.stream(["a"], truncate=policy)


def test_max_tokens_can_be_lowered(artifact: Path, encoder: Encoder) -> None:
    with Encoder(artifact, max_tokens=5, truncate="silent") as short:
        assert short.max_tokens == 5
        assert short.manifest.max_tokens == 32
        assert_same(short.encode(["the man plays guitar cat dog"]), encoder.encode(["the man plays"]))
        with pytest.warns(TruncationWarning, match="1 of 2 texts were longer than max_tokens=5 tokens"):
            short.encode(["the man plays guitar", "the man plays"], truncate="warn")
    with Encoder(artifact, max_tokens=32) as same:
        assert same.max_tokens == 32
    with pytest.raises(InputValueError, match=r"max_tokens=33: the artifact's limit is 32, and it can only be lowered"):
        Encoder(artifact, max_tokens=33)
    with pytest.raises(InputValueError, match=r"max_tokens=2: this tokenizer needs at least 3"):
        Encoder(artifact, max_tokens=2)


@pytest.mark.parametrize("option", ["threads", "max_tokens"])
def test_counts_that_are_none(artifact: Path, option: str) -> None:
    for value in (0, -1):
        with pytest.raises(InputValueError, match=f"{option}={value}: expected at least 1"):
            Encoder(artifact, **{option: value})
    for other in ("2", 2.0, True):
        with pytest.raises(InputTypeError, match=f"{option}={other!r}: expected a whole number"):
            Encoder(artifact, **{option: other})  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:1"])
def test_a_device_that_is_not_the_artifact_s(artifact: Path, device: str) -> None:
    with pytest.raises(ProviderError, match=rf"asked for {device}.*pip install 'simcse-engine\[gpu\]'"):
        Encoder(artifact, device=device)


@pytest.mark.parametrize("device", ["cpu:0", "tensorrt", "tpu", "CPU", "gpu", "cuda:", ""])
def test_a_device_that_is_none(artifact: Path, device: str) -> None:
    with pytest.raises(ProviderError, match=f"device '{device}' is unknown"):
        Encoder(artifact, device=device)


def test_an_artifact_that_is_replaced_under_an_encoder(artifact_copy: Path, checkpoint: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    export(checkpoint, other, ExportOptions(pooler="avg", max_tokens=32))
    with Encoder(artifact_copy, threads=2) as encoder:
        before = encoder.encode(["a man"])
        for path in other.iterdir():
            path.replace(artifact_copy / path.name)
        assert_same(encoder.encode(["a man"]), before)
        if encoder.kernels is not None:
            assert_same(encoder.encode(["a man", *MANY])[:1], before)
            return
        # Bulk work opens a session of its own, which must not be the other model's.
        with pytest.raises(ArtifactError, match="was replaced since it was opened"):
            encoder.encode(MANY)


def test_device(artifact: Path, encoder: Encoder) -> None:
    with Encoder(artifact, device="cpu") as named:
        assert_same(named.encode(["a man"]), encoder.encode(["a man"]))
    with pytest.raises(InputTypeError, match="device=0"):
        Encoder(artifact, device=0)  # type: ignore[arg-type]


def test_vectors_without_normalization(checkpoint: Path, tmp_path: Path, encoder: Encoder) -> None:
    export(checkpoint, tmp_path / "raw", ExportOptions(pooler="cls", max_tokens=32, normalize=False))
    with Encoder(tmp_path / "raw") as raw:
        vectors = raw.encode(MANY[:40])
        assert not raw.manifest.normalized
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.abs(norms - 1).max() > 0.1
    assert_same(vectors / norms, encoder.encode(MANY[:40]))


def test_roberta(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "roberta", model_type="roberta")
    export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg_first_last", max_tokens=32))
    with shrunk(Encoder(tmp_path / "artifact")) as roberta:
        texts = MANY[:60]
        assert_same(roberta.encode(texts, truncate="silent"), one_by_one(roberta, texts))


@given(count=st.integers(0, 40), window_texts=st.integers(1, 50), window_chars=st.integers(1, 800))
@settings(max_examples=40)
def test_stream_is_encode(encoder: Encoder, count: int, window_texts: int, window_chars: int) -> None:
    texts = MANY[30 : 30 + count]
    encoder._runner.limits = Limits(window_texts=window_texts, window_chars=window_chars)
    parts = list(encoder.stream(iter(texts)))
    assert all(0 < len(part) <= window_texts for part in parts)
    assert all(part.dtype == np.float32 for part in parts)
    together = np.concatenate([np.empty((0, 32), np.float32), *parts])
    encoder._runner.limits = Limits()
    assert_same(together, encoder.encode(texts))


def test_stream_takes_any_iterable(encoder: Encoder) -> None:
    expected = encoder.encode(["a man", "a cat"])
    for texts in (("a man", "a cat"), iter(["a man", "a cat"]), {"a man": 1, "a cat": 2}, np.array(["a man", "a cat"])):
        assert_same(np.concatenate(list(encoder.stream(texts))), expected)


def counted(read: list[int]) -> Iterator[str]:
    """Endless texts; how many were read is in ``read``."""
    for i in itertools.count():
        read[0] += 1
        yield MANY[i % len(MANY)]


def test_stream_reads_a_bounded_number_ahead(small: Encoder) -> None:
    read = [0]
    stream = small.stream(counted(read))
    # Not before it is asked for.
    assert read == [0]
    given = 0
    for vectors in itertools.islice(stream, 50):
        given += len(vectors)
        assert read[0] - given <= 2 * 7
    assert given > 100


def test_stream_left_midway(small: Encoder) -> None:
    threads = threading.active_count() + small._model._threads
    for _ in range(20):
        for _ in small.stream(counted([0])):
            break
        stream = small.stream(counted([0]))
        next(stream)
        del stream
    gc.collect()
    assert threading.active_count() <= threads
    assert small.encode(MANY[:50]).shape == (50, 32)


def test_stream_never_started(small: Encoder) -> None:
    read = [0]
    small.stream(counted(read))
    gc.collect()
    assert read == [0]


def test_error_in_the_iterable(small: Encoder) -> None:
    class DiskGoneError(Exception):
        pass

    def texts(count: int) -> Iterator[str]:
        yield from MANY[:count]
        raise DiskGoneError

    for count in (0, 1, 7, 30):
        given: list[NDArray[np.float32]] = []
        with pytest.raises(DiskGoneError):
            given.extend(small.stream(texts(count)))
        # All but what was read last, a window and one under way.
        assert count - 2 * 7 <= sum(map(len, given)) <= count
    assert small.encode(["a man"]).shape == (1, 32)


def test_wrong_texts_in_a_stream_are_told_before_it_is_used(encoder: Encoder) -> None:
    with pytest.raises(InputTypeError):
        encoder.stream("a man")


def test_closed(artifact: Path) -> None:
    encoder = Encoder(artifact)
    encoder.close()
    encoder.close()
    for call in (encoder.encode, encoder.stream):
        for texts in ([], ["a man"], MANY):
            with pytest.raises(ClosedError, match="this encoder is closed; open a new one"):
                call(texts)
    assert encoder.dimension == 32
    assert "Encoder" in repr(encoder)


def test_context_manager(artifact: Path) -> None:
    with Encoder(artifact) as encoder:
        encoder.encode(["a man"])
    with pytest.raises(ClosedError):
        encoder.encode(["a man"])
    with pytest.raises(KeyError), Encoder(artifact) as encoder:
        raise KeyError
    with pytest.raises(ClosedError):
        encoder.encode(["a man"])


def test_close_frees_the_threads(artifact: Path) -> None:
    before = threading.active_count()
    with Encoder(artifact, threads=3) as encoder:
        encoder.encode(MANY)
        assert threading.active_count() == before + 3
    assert threading.active_count() == before


def test_close_amid_a_stream(artifact: Path) -> None:
    encoder = shrunk(Encoder(artifact, threads=2))
    stream = encoder.stream(counted([0]))
    next(stream)
    encoder.close()
    with pytest.raises(ClosedError):
        list(stream)


def test_close_while_another_thread_encodes(artifact: Path) -> None:
    expected = shrunk(Encoder(artifact)).encode(MANY)

    def work(encoder: Encoder, begun: threading.Barrier) -> int:
        begun.wait(30)
        for rounds in itertools.count():
            try:
                vectors = encoder.encode(MANY)
            except ClosedError:
                return rounds
            assert_same(vectors, expected)
        raise AssertionError

    for _ in range(5):
        encoder, begun = shrunk(Encoder(artifact, threads=2)), threading.Barrier(4)
        with ThreadPoolExecutor(3) as pool:
            jobs = [pool.submit(work, encoder, begun) for _ in range(3)]
            begun.wait(30)
            encoder.close()
            for job in jobs:
                job.result(30)


def test_eight_threads_at_once(small: Encoder) -> None:
    expected = small.encode(MANY)
    begun = threading.Barrier(8)

    def work(shift: int) -> None:
        begun.wait(30)
        for step in (1, 3, 8, 50):
            part = slice(shift * 10, shift * 10 + step * 6)
            assert_same(small.encode(MANY[part]), expected[part])
            assert_same(np.concatenate(list(small.stream(MANY[part]))), expected[part])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8), timeout=60))


def test_repr(encoder: Encoder, artifact: Path, way: str) -> None:
    device = "cpu" if way == "none" else f"cpu with {way} kernels"
    said = f"<Encoder '{artifact}': tiny-bert, pooler cls, fp32 on {device}, dimension 32, max_tokens 32>"
    assert repr(encoder) == said


def test_kernels(encoder: Encoder, way: str) -> None:
    assert encoder.kernels == (None if way == "none" else way)


def test_relative_path(artifact: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(artifact.parent)
    with Encoder(artifact.name) as relative:
        monkeypatch.chdir("/")
        assert repr(relative) == repr(encoder)
        assert_same(relative.encode(MANY), encoder.encode(MANY))


def run_on(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sentences each submission to the runner has."""
    sizes: list[int] = []
    submit = encoder._runner.submit
    monkeypatch.setattr(encoder._runner, "submit", lambda ids, *rest: sizes.append(len(ids)) or submit(ids, *rest))
    return sizes


@given(texts=st.lists(st.sampled_from(["", "a man", "a cat", "the man plays guitar", LONG]), max_size=60))
@settings(max_examples=40)
def test_texts_that_repeat(small: Encoder, texts: list[str]) -> None:
    expected = one_by_one(small, texts)
    assert_same(small.encode(texts, truncate="silent"), expected)
    parts = list(small.stream(texts, truncate="silent"))
    assert_same(np.concatenate([np.empty((0, 32), np.float32), *parts]), expected)


def test_texts_that_repeat_are_run_once(small: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"a man {i % 10}" for i in range(40)]
    sizes = run_on(small, monkeypatch)
    small.encode(texts)
    # Over all of the call; its windows are of 7.
    assert sizes == [7, 3]
    sizes.clear()
    assert [len(part) for part in small.stream(["a man"] * 7 + ["a cat", "a man"] * 5)] == [7, 7, 3]
    assert sizes == [1, 2, 2]


def test_cuts_of_texts_that_repeat_count_each(small: Encoder) -> None:
    texts = ["a man", LONG, "a man", LONG + "cat", *[LONG] * 20, "a man"]
    for call in (small.encode, lambda given: list(small.stream(given))):
        with pytest.warns(TruncationWarning, match=r"^22 of 25 texts were longer") as caught:
            call(texts)
        assert [(w.message.cut, w.message.total) for w in caught] == [(22, 25)]  # type: ignore[union-attr]
    # A window further on, behind texts that repeat.
    for call in (small.encode, small.stream):
        with pytest.raises(TruncationError, match=r"^texts\[16\] has more than"):
            list(call(["a man", "a cat"] * 8 + [LONG, "a cat", LONG], truncate="error"))


def test_progress_of_texts_that_repeat(encoder: Encoder, capsys: pytest.CaptureFixture[str]) -> None:
    encoder.encode(MANY[:60] * 5, progress=True)
    assert "300/300" in capsys.readouterr().err


@pytest.mark.parametrize(("optimize_for", "sessions"), [("both", [3, 1]), ("latency", [3]), ("throughput", [1])])
def test_optimize_for(artifact: Path, encoder: Encoder, optimize_for: OptimizeFor, sessions: list[int]) -> None:
    with Encoder(artifact, threads=3, optimize_for=optimize_for) as other:
        # Warm before the first call.
        assert list(other._runner.replicas[0]._sessions) == sessions[:1]
        assert_same(other.encode(MANY[:3]), encoder.encode(MANY[:3]))
        assert_same(np.concatenate(list(other.stream(MANY))), encoder.encode(MANY))
        assert list(other._runner.replicas[0]._sessions) == sessions


@pytest.mark.parametrize("aim", ["memory", "", True, None])
def test_unknown_optimize_for(artifact: Path, aim: Any) -> None:
    says = re.escape(f"optimize_for={aim!r}: choose 'both', 'latency' or 'throughput'")
    with pytest.raises(InputValueError, match=says):
        Encoder(artifact, optimize_for=aim)


def test_progress(encoder: Encoder, capsys: pytest.CaptureFixture[str]) -> None:
    plain = encoder.encode(MANY)
    assert capsys.readouterr() == ("", "")
    assert_same(encoder.encode(MANY, progress=True), plain)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "100%" in shown.err
    assert "400/400" in shown.err
    assert encoder.encode([], progress=True).shape == (0, 32)


def test_progress_ends_with_an_error(encoder: Encoder, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TruncationError):
        encoder.encode([LONG], truncate="error", progress=True)
    assert "0/1" in capsys.readouterr().err


def test_opening_and_encoding_warn_of_nothing(artifact: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Encoder(artifact) as encoder:
            encoder.encode(MANY)
    assert capfd.readouterr() == ("", "")


def test_a_stream_tells_of_each_run(encoder: Encoder) -> None:
    texts = [f"{i % 700} " + "the cat " * (i % 9) for i in range(3000)]
    counts: list[int] = []
    vectors = list(encoder.stream(iter(texts), progress=counts.append))
    assert sum(counts) == sum(map(len, vectors)) == 3000
    # Far more often than vectors come.
    assert len(counts) > 10 * len(vectors)
    assert min(counts) > 0
