"""AsyncEncoder: vectors as offline however calls meet, errors before anything waits, a cache, limits."""

import asyncio
import gc
import threading
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcse_engine import AsyncEncoder, Encoder, TruncationWarning
from simcse_engine.batching import BatchingOptions, Run
from simcse_engine.batching.backlog import Backlog
from simcse_engine.errors import ClosedError, InputTypeError, InputValueError, QueueFullError, TruncationError
from simcse_export import ExportOptions, export
from support.checkpoints import make_sentence_transformers, write_json
from support.maker import Maker, short_calibration

from .conftest import HeldEncoder, run

LONG = "the man plays guitar " * 20
TEXTS = [
    " ".join(["the", "man", "plays", "guitar", "some", "cat"][(i + j * (i % 5 + 1)) % 6] for j in range(1 + i % 29))
    for i in range(200)
]
CALLS = st.lists(st.lists(st.sampled_from(TEXTS), max_size=60), min_size=1, max_size=12)


@pytest.fixture(scope="module", params=["fp32", "int8"])
def encoder(
    request: pytest.FixtureRequest,
    with_and_without: str,  # noqa: ARG001 - set before it is opened
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Encoder]:
    calibration = short_calibration(tmp_path_factory) if request.param == "int8" else None
    options = ExportOptions(pooler="avg", max_tokens=32, precision=request.param, calibration=calibration)
    with Encoder(Maker(tmp_path_factory).artifact("bert", options), threads=2) as opened:
        yield opened


@given(calls=CALLS, tokens=st.integers(1, 600), cache=st.sampled_from([0, 30_000]), pauses=st.randoms())
@settings(max_examples=15)
def test_vectors_are_those_of_encode(
    encoder: Encoder, calls: list[list[str]], tokens: int, cache: int, pauses: Any
) -> None:
    tolerance = 0.0 if encoder.manifest.precision == "int8" else 1e-6

    async def main() -> None:
        async with AsyncEncoder(encoder, BatchingOptions(batch_tokens=tokens, cache_bytes=cache)) as shared:

            async def call(texts: list[str]) -> Any:
                for _ in range(pauses.randrange(4)):
                    await asyncio.sleep(0)
                return await shared.encode_counted(texts)

            for texts, encoded in zip(calls, await asyncio.gather(*map(call, calls)), strict=True):
                np.testing.assert_allclose(encoded.vectors, encoder.encode(texts), rtol=0, atol=tolerance)
                assert encoded.vectors.dtype == np.float32
                assert encoded.tokens == [len(ids) for ids in encoder.tokenize(texts).ids]
                assert encoded.cut == []
            assert shared.queued_tokens == 0

    run(main)


@pytest.mark.parametrize(
    ("texts", "error", "says"),
    [
        ("a man", InputTypeError, "texts is one str"),
        (7, InputTypeError, "texts is int"),
        ({"a": 1}, InputTypeError, "texts is dict"),
        (iter(["a"]), InputTypeError, "stream"),
        (["a", b"b"], InputTypeError, r"texts\[1\] is bytes"),
        (["a"] * 3000 + [None], InputTypeError, r"texts\[3000\] is NoneType"),
        (["a", "b\ud800"], InputValueError, r"texts\[1\] holds a lone surrogate"),
    ],
)
def test_wrong_texts_are_refused_before_any_wait(held: HeldEncoder, texts: Any, error: type, says: str) -> None:
    async def main() -> None:
        async with AsyncEncoder(held) as shared:
            with pytest.raises(error, match=says):
                await shared.encode(texts)
            assert shared.queued_tokens == 0

    run(main)
    assert held.runs == []


def test_wrong_policy(held: HeldEncoder) -> None:
    async def main() -> None:
        async with AsyncEncoder(held) as shared:
            with pytest.raises(InputValueError, match="choose 'warn', 'error' or 'silent'"):
                await shared.encode(["a"], truncate="cut")  # type: ignore[arg-type]

    run(main)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"batch_tokens": 0}, InputValueError, "batch_tokens=0: expected at least 1"),
        ({"max_queued_tokens": -1}, InputValueError, "max_queued_tokens=-1: expected at least 1"),
        ({"cache_bytes": -1}, InputValueError, "cache_bytes=-1: expected at least 0"),
        ({"cache_bytes": 1.5}, InputTypeError, "cache_bytes=1.5: expected a whole number"),
    ],
)
def test_wrong_options(options: dict[str, Any], error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        BatchingOptions(**options)


@pytest.mark.parametrize("texts", [[], (), np.array([], str)])
def test_no_texts(held: HeldEncoder, texts: Any) -> None:
    async def main() -> None:
        async with AsyncEncoder(held) as shared:
            assert (await shared.encode(texts)).shape == (0, 32)

    run(main)
    assert held.runs == []


def test_collections_of_all_kinds_and_lists_that_change_meanwhile(held: HeldEncoder) -> None:
    texts = ["a man", "a cat", "a man"]

    async def main() -> None:
        async with AsyncEncoder(held) as shared:
            calls = [asyncio.ensure_future(shared.encode(kind(texts))) for kind in (list, tuple, np.array)]
            changing = list(texts)
            calls.append(asyncio.ensure_future(shared.encode(changing)))
            await held.began()
            changing[:] = [b"what", None]
            held.go_on(10)
            for call in calls:
                np.testing.assert_allclose(await call, held.encode(texts), rtol=0, atol=1e-6)

    run(main)


@pytest.mark.parametrize("cache", [0, 100_000])
def test_truncation_is_told(artifact: Path, cache: int) -> None:
    texts = ["a man", LONG, "a cat", LONG]

    async def main(encoder: Encoder) -> None:
        async with AsyncEncoder(encoder, BatchingOptions(cache_bytes=cache)) as shared:
            for _ in range(2):  # the second time from the cache, if there is one
                with pytest.warns(TruncationWarning, match="2 of 4 texts were longer than max_tokens=32") as caught:
                    vectors = await shared.encode(texts)
                assert (caught[0].message.cut, caught[0].message.total) == (2, 4)  # type: ignore[union-attr]
                assert caught[0].filename == __file__
                with pytest.warns(TruncationWarning) as caught:
                    await shared.encode_query(texts)
                assert caught[0].filename == __file__
                encoded = await shared.encode_counted(["the cat", *texts])
                assert encoded.cut == [2, 4]
                assert [encoded.tokens[position] for position in encoded.cut] == [32, 32]
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    assert np.array_equal(await shared.encode(texts, truncate="silent"), vectors)
                with pytest.raises(TruncationError, match=r"texts\[1\] has more than max_tokens=32"):
                    await shared.encode(texts, truncate="error")
                # The position is the caller's, whatever the cache knows.
                with pytest.raises(TruncationError, match=r"texts\[3\] has"):
                    await shared.encode(["a man", "the cat", "a cat", "some " + LONG], truncate="error")
            assert (shared.cache is None) == (cache == 0)

    with Encoder(artifact) as encoder:
        run(lambda: main(encoder))


def test_the_cache_answers_what_it_knows(held: HeldEncoder) -> None:
    async def main() -> None:
        async with AsyncEncoder(held, BatchingOptions(cache_bytes=100_000)) as shared:
            held.go_on(2)
            await shared.encode(["a man", "a cat"])
            encoded = await shared.encode_counted(["guitar", "a cat", "guitar", "a man", "a cat"])
            np.testing.assert_allclose(
                encoded.vectors, held.encode(["guitar", "a cat", "guitar", "a man", "a cat"]), rtol=0, atol=1e-6
            )
            assert encoded.cached == 2
            assert held.runs == [2, 1]
            # Without a run from now on.
            again = await shared.encode_counted(["a cat", "guitar"])
            assert again.cached == 2
            assert np.array_equal(again.vectors, encoded.vectors[[1, 0]])
            again.vectors[:] = 0  # the caller's own
            assert np.array_equal(await shared.encode(["a cat", "guitar"]), encoded.vectors[[1, 0]])
            assert shared.cache is not None
            assert (shared.cache.hits, shared.cache.misses) == (6, 3)
            assert shared.queued_tokens == 0

    run(main)


def test_a_full_queue(held: HeldEncoder) -> None:
    async def main() -> None:
        async with AsyncEncoder(held, BatchingOptions(max_queued_tokens=10)) as shared:
            # One rule for all: while there is room, a huge call is accepted too, and leaves room for another.
            huge = [asyncio.ensure_future(shared.encode(["a man plays"] * 100 + TEXTS)) for _ in range(2)]
            await held.began()
            with pytest.raises(QueueFullError, match="the limit is 10") as raised:
                await shared.encode(["a cat"])
            assert raised.value.retry_after_s > 0
            shared.max_queued_tokens = None
            more = asyncio.ensure_future(shared.encode(["a cat"]))
            held.go_on(100)
            await asyncio.gather(*huge, more)
            shared.max_queued_tokens = 10
            await shared.encode(["a cat"])
            assert shared.queued_tokens == 0

    run(main)


def test_texts_that_were_refused_say_nothing_of_the_speed(held: HeldEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    speeds: list[float] = []
    monkeypatch.setattr(Backlog, "note_speed", lambda _, speed: speeds.append(speed))
    held.go_on(100)

    async def main() -> None:
        async with AsyncEncoder(held) as shared:
            for _ in range(3):
                with pytest.raises(TruncationError):
                    await shared.encode(["the man plays guitar " * 20], truncate="error")
            await shared.encode(["a cat"])

    run(main)
    assert len(speeds) == 1
    assert speeds[0] > 0


def test_several_event_loops_and_threads(artifact: Path) -> None:
    with Encoder(artifact, threads=2) as encoder:
        shared, wrong = AsyncEncoder(encoder), []
        want = encoder.encode(TEXTS)

        async def calls(start: int) -> None:
            async def call(position: int) -> None:
                got = await shared.encode(TEXTS[position : position + 1 + position % 3])
                if np.abs(got - want[position : position + len(got)]).max() > 1e-6:
                    wrong.append(position)

            await asyncio.gather(*(call((start + i) % len(TEXTS)) for i in range(100)))

        threads = [threading.Thread(target=lambda i=i: asyncio.run(calls(37 * i))) for i in range(4)]  # type: ignore[misc]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        run(shared.close)
        assert wrong == []
        assert shared.queued_tokens == 0


def test_runs_are_told_and_what_the_listener_raises_is_no_callers_concern(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Run] = []
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)

    def on_run(run: Run) -> None:
        told.append(run)
        raise SystemExit("no")

    async def main(encoder: Encoder) -> None:
        async with AsyncEncoder(encoder, on_run=on_run) as shared:
            for _ in range(3):
                await shared.encode(["a man", "a cat", "a man"])

    with Encoder(artifact) as encoder:
        run(lambda: main(encoder))
        tokens = sum(map(len, encoder.tokenize(["a man", "a cat"]).ids))
    assert [(each.texts, each.tokens, each.alone) for each in told] == [(2, tokens, True)] * 3
    assert all(each.tokenization_s > 0 and each.inference_s > 0 for each in told)
    assert [each.exc_type for each in reported] == [SystemExit] * 3


def test_nothing_of_what_is_done_stays(held: HeldEncoder) -> None:
    """No cycle of references holds texts or vectors until somebody collects garbage."""

    class Text(str):
        __slots__ = ("__weakref__",)

    async def main() -> list[Any]:
        async with AsyncEncoder(held) as shared:
            held.go_on(1)
            texts = [Text("a man"), Text("a cat")]
            kept = [weakref.ref(text) for text in texts]
            vectors = await shared.encode(texts)
            kept.append(weakref.ref(vectors))
            held.go_on(1)
            bad = [Text("guitar")]
            kept.append(weakref.ref(bad[0]))
            held.fail_with("guitar")
            with pytest.raises(OSError, match="the run failed"):
                await shared.encode(bad)
            left = [Text("the man plays")]
            kept.append(weakref.ref(left[0]))
            call = asyncio.ensure_future(shared.encode(left))
            await held.began()
            await held.began()
            await held.began()
            call.cancel()
            await asyncio.wait([call])
            held.go_on(1)
            del texts, vectors, bad, left, call
            await asyncio.sleep(0)
            held.go_on(1)
            await shared.encode(["some"])
            return [reference() for reference in kept if reference() is not None]

    gc.collect()
    gc.disable()
    try:
        assert run(main) == []
    finally:
        gc.enable()


def test_an_encoder_that_nobody_closed_ends_with_its_threads(artifact: Path) -> None:
    before = set(threading.enumerate())
    with Encoder(artifact) as encoder:
        run(lambda: AsyncEncoder(encoder).encode(["a man"]))
        gc.collect()
        for thread in set(threading.enumerate()) - before:
            thread.join(60)
            assert not thread.is_alive()


def test_closed(held: HeldEncoder) -> None:
    before = threading.enumerate()  # others' encoders may be open

    async def main() -> None:
        shared = AsyncEncoder(held)
        calls = [asyncio.ensure_future(shared.encode([text])) for text in ("a man", "a cat", "guitar")]
        await held.began()
        closing = [asyncio.ensure_future(shared.close()) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ClosedError):
            await shared.encode(["some"])
        with pytest.raises(ClosedError):
            await shared.encode([])
        assert not any(each.done() for each in calls + closing)
        held.go_on(10)
        await asyncio.gather(*closing)
        # What was accepted was finished.
        got = [await call for call in calls]
        np.testing.assert_allclose(np.concatenate(got), held.encode(["a man", "a cat", "guitar"]), rtol=0, atol=1e-6)
        await shared.close()

    run(main)
    assert not [each for each in threading.enumerate() if each.name == "simcse-engine-batcher" and each not in before]


def test_the_encoder_closed_underneath(held: HeldEncoder) -> None:
    async def main() -> None:
        async with AsyncEncoder(held) as shared:
            calls = [asyncio.ensure_future(shared.encode([text])) for text in ("a man", "a cat", "guitar")]
            await held.began()
            held.close()
            held.go_on(10)
            for each in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(each, ClosedError)
            assert shared.queued_tokens == 0

    run(main)


@pytest.mark.parametrize("cache", [0, 1_000_000])
def test_prompts_and_forms_are_those_of_encode(prompted: Path, cache: int) -> None:
    texts = ["a man", "", "the cat", "a man"]

    async def main() -> None:
        with Encoder(prompted) as encoder:
            async with AsyncEncoder(encoder, BatchingOptions(cache_bytes=cache)) as shared:
                for method, options in (
                    ("encode", {}),
                    ("encode", {"prompt_name": "query", "dtype": "float16"}),
                    ("encode", {"prompt": "", "dimensions": 12}),
                    ("encode_query", {}),
                    ("encode_document", {"dimensions": 9, "dtype": "binary"}),
                    ("encode_document", {"prompt_name": "query"}),
                ):
                    made = await getattr(shared, method)(texts, **options)
                    expected = getattr(encoder, method)(texts, **options)
                    assert made.dtype == expected.dtype
                    np.testing.assert_allclose(made, expected, atol=1e-3 if "dtype" in options else 1e-6)
                counted = await shared.encode_counted(texts, prompt_name="query")
                assert counted.tokens == encoder.count_tokens(texts, prompt_name="query")
                # A text is remembered with its prompt: as another text where it has another one.
                again = await shared.encode_counted(["the cat: a man"], prompt="")
                assert again.cached == (1 if cache else 0)
                with pytest.raises(InputValueError, match="prompt_name='queries'"):
                    await shared.encode(texts, prompt_name="queries")
                with pytest.raises(InputValueError, match="dtype='int4'"):
                    await shared.encode(texts, dtype="int4")
                with pytest.raises(InputTypeError, match=r"texts\[1\] is NoneType"):
                    await shared.encode(["a", None])

    run(main)


def test_a_large_call_in_another_form(artifact: Path) -> None:
    texts = [f"the cat {number}" for number in range(10_000)]

    async def main() -> None:
        with Encoder(artifact) as encoder:
            async with AsyncEncoder(encoder) as shared:
                made = await shared.encode(texts, dtype="ubinary")
                bits = np.unpackbits(made, axis=1) != np.unpackbits(encoder.encode(texts, dtype="ubinary"), axis=1)
                assert made.shape == (10_000, 4)
                # A number that is nearly zero may have the other sign.
                assert bits.mean() < 1e-4

    run(main)


@pytest.fixture(scope="module")
def leaving_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact whose pooling leaves prompts out."""
    root = tmp_path_factory.mktemp("leaving_out")
    folder = make_sentence_transformers(root / "folder", max_seq_length=24)
    write_json(folder / "1_Pooling/config.json", {"pooling_mode": "mean", "include_prompt": False})
    write_json(folder / "config_sentence_transformers.json", {"prompts": {"query": "the cat: "}})
    export(folder, root / "artifact")
    return root / "artifact"


def test_a_prompt_that_pooling_leaves_out(leaving_out: Path) -> None:
    texts = ["a man", "", "the mat", "a man", LONG]

    async def main() -> None:
        with Encoder(leaving_out) as encoder:
            async with AsyncEncoder(encoder, BatchingOptions(cache_bytes=100_000)) as shared:
                encoded = await shared.encode_counted(texts, prompt_name="query")
                # Nothing of it is remembered, since the same text without a prompt has another vector.
                assert (await shared.encode_counted(["the cat: a man"])).cached == 0
                expected = encoder.encode_query(texts, truncate="silent")
                np.testing.assert_allclose(encoded.vectors, expected, atol=1e-6)
                assert np.abs(expected - encoder.encode(["the cat: " + text for text in texts])).max() > 0.01
                assert encoded.tokens == [min(24, count) for count in encoder.count_tokens(texts, prompt_name="query")]
                assert encoded.cut == [4]
                assert shared.queued_tokens == 0
                with pytest.raises(TruncationError, match=r"texts\[4\] has more than max_tokens=24"):
                    await shared.encode_query(texts, truncate="error")
                # Without a prompt they share runs.
                plain = await shared.encode(texts[:4], prompt="")
                np.testing.assert_allclose(plain, encoder.encode(texts[:4], prompt=""), atol=1e-6)
                assert (await shared.encode_counted(texts[:4])).cached == 3

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        run(main)


def test_callers_behind_several_prompts_that_pooling_leaves_out(leaving_out: Path) -> None:
    ways = [("the cat: ", "a man"), ("", "the cat: a man"), ("the ", "cat: a man"), ("the cat: ", "the mat")]
    runs: list[Run] = []

    async def main() -> None:
        with HeldEncoder(leaving_out, threads=1) as held:
            shared = AsyncEncoder(held, on_run=runs.append)
            first = asyncio.ensure_future(shared.encode(["a dog"], prompt="the cat: "))
            await held.began()
            # They wait together, and one leaves.
            calls = [asyncio.ensure_future(shared.encode([text], prompt=prompt)) for prompt, text in ways]
            gone = asyncio.ensure_future(shared.encode(["guitar"], prompt="the dog: "))
            await asyncio.sleep(0)
            assert shared.queued_tokens > 0
            gone.cancel()
            closing = asyncio.ensure_future(shared.close())
            await asyncio.sleep(0.01)
            assert not closing.done()
            held.go_on(100)
            await closing
            assert shared.queued_tokens == 0
            made = [await call for call in (first, *calls)]
            expected = [held.encode([text], prompt=prompt) for prompt, text in [("the cat: ", "a dog"), *ways]]
            np.testing.assert_allclose(made, expected, rtol=0, atol=1e-6)
            assert np.abs(expected[1] - expected[2]).max() > 1e-3

    run(main)
    # Those of one prompt run together.
    assert [each.texts for each in runs] == [1, 2, 1, 1]
