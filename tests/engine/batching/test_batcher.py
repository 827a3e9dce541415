"""What joins, what fails, who leaves: with runs that wait until the test lets them go."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import AsyncEncoder, Encoder
from simcse_engine.batching import BatchingOptions
from simcse_engine.batching.job import estimated_tokens
from simcse_engine.batching.queue import FairQueue
from simcse_engine.errors import LimitError, TruncationError

from .conftest import HeldEncoder, run

TEXTS = ["a man", "a cat", "the man plays guitar", "guitar", "some", "the cat plays"]
LONG = "the man plays guitar " * 20


def started(*calls: Any) -> list["asyncio.Future[Any]"]:
    return [asyncio.ensure_future(call) for call in calls]


async def reached(true: Any) -> None:
    """Wait for what other threads do."""
    while not true():
        await asyncio.sleep(0.001)


def test_what_gathers_during_a_run_is_the_next(held: HeldEncoder) -> None:
    async def main() -> None:
        async with AsyncEncoder(held) as shared:
            first = started(shared.encode(["a man"]))
            await held.began()  # alone, at once
            others = started(*(shared.encode([text]) for text in TEXTS))
            await asyncio.sleep(0)
            held.go_on()
            await held.began()
            held.go_on()
            got = await asyncio.gather(*first, *others)
            np.testing.assert_allclose(np.concatenate(got), held.encode(["a man", *TEXTS]), rtol=0, atol=1e-6)

    run(main)
    assert held.runs == [1, 6]


def test_small_calls_do_not_wait_for_a_huge_one(held: HeldEncoder) -> None:
    huge = [f"the man plays {' '.join(TEXTS[i % 6] for i in range(j % 5))} {j}" for j in range(3000)]

    async def main() -> None:
        async with AsyncEncoder(held, BatchingOptions(batch_tokens=600)) as shared:
            (long,) = started(shared.encode(huge, truncate="silent"))
            await held.began()
            for _ in range(5):
                small = started(*(shared.encode([text]) for text in TEXTS))
                await asyncio.sleep(0)
                held.go_on()
                # The next run for small ones is one of the next two.
                for _ in range(2):
                    await held.began()
                    held.go_on()
                await asyncio.gather(*small)
                await held.began()
                assert not long.done()
            held.go_on(1000)
            np.testing.assert_allclose(await long, held.encode(huge, truncate="silent"), rtol=0, atol=1e-6)

    run(main)


def test_two_threads_take_shares(artifact: Path) -> None:
    async def main(held: HeldEncoder) -> None:
        async with AsyncEncoder(held) as shared:
            texts = [f"the man plays guitar {i}" for i in range(100)]
            calls = started(*(shared.encode([text]) for text in texts))
            # None runs before all wait or are taken up.
            everything = sum(estimated_tokens(text, held.max_tokens) for text in texts)
            await reached(lambda: shared.queued_tokens == everything)
            for _ in range(2):
                await held.began()
            held.go_on(10)
            await asyncio.gather(*calls)

    with HeldEncoder(artifact, threads=2) as held:
        run(lambda: main(held))
    assert len(held.runs) <= 4
    assert sum(held.runs) == 100


def test_whoever_leaves_does_not_run(held: HeldEncoder) -> None:
    async def main() -> None:
        async with AsyncEncoder(held) as shared:
            (first,) = started(shared.encode(["a man"]))
            await held.began()
            leaving, staying = started(shared.encode(["a cat"]), shared.encode(["guitar"]))
            await asyncio.sleep(0)
            before = shared.queued_tokens
            leaving.cancel()
            await asyncio.wait([leaving])
            assert 0 < shared.queued_tokens < before
            held.go_on(2)
            await asyncio.gather(first, staying)
            assert shared.queued_tokens == 0

    run(main)
    assert held.runs == [1, 1]


def test_whoever_leaves_amid_a_run_is_no_error(held: HeldEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)

    async def main() -> None:
        async with AsyncEncoder(held, BatchingOptions(batch_tokens=100)) as shared:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
            (call,) = started(shared.encode([f"the man {i}" for i in range(2000)]))
            await held.began()
            call.cancel()
            await asyncio.wait([call])
            assert shared.queued_tokens == 0
            held.go_on(2)
            np.testing.assert_allclose(await shared.encode(["a cat"]), held.encode(["a cat"]), rtol=0, atol=1e-6)

    run(main)
    assert len(held.runs) == 2, "of the huge call, no more ran"
    assert reported == []


def test_a_loop_that_ends_amid_a_run_harms_nobody_else(held: HeldEncoder) -> None:
    shared = AsyncEncoder(held)

    async def leave() -> None:
        started(shared.encode(["a man"]))
        await held.began()

    async def stay() -> None:
        held.go_on(2)
        np.testing.assert_allclose(await shared.encode(["a cat"]), held.encode(["a cat"]), rtol=0, atol=1e-6)
        await shared.close()

    run(leave)
    run(stay)


def test_a_text_too_long_fails_its_own_call_alone(held: HeldEncoder) -> None:
    async def main() -> None:
        async with AsyncEncoder(held) as shared:
            (first,) = started(shared.encode(["a man"]))
            await held.began()
            cut = shared.encode_counted(["a man", LONG], truncate="silent")
            refused = shared.encode(["a cat", "some", LONG], truncate="error")
            calls = started(shared.encode(["a cat"]), refused, cut)
            await asyncio.sleep(0)
            held.go_on(10)
            good, bad, both = await asyncio.gather(*calls, return_exceptions=True)
            await first
            np.testing.assert_allclose(good, held.encode(["a cat"]), rtol=0, atol=1e-6)
            assert isinstance(bad, TruncationError)
            assert "texts[2]" in str(bad)
            np.testing.assert_allclose(both.vectors, held.encode(["a man", LONG], truncate="silent"), rtol=0, atol=1e-6)
            assert both.cut == [1]

    run(main)
    assert held.runs == [1, 3], "nothing ran of what only the refused call wanted"


@pytest.mark.parametrize("fails", ["run", "tokenize"])
def test_what_cannot_run_fails_its_own_call_alone(
    held: HeldEncoder, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    tokenize = held.tokenize

    def tokenize_or_fail(texts: Any) -> Any:
        if "guitar" in texts:
            raise OSError("the run failed")
        return tokenize(texts)

    if fails == "run":
        held.fail_with("guitar")
    else:
        monkeypatch.setattr(held, "tokenize", tokenize_or_fail)

    async def main() -> None:
        async with AsyncEncoder(held) as shared:
            (first,) = started(shared.encode(["some"]))
            await held.began()
            calls = started(*(shared.encode([text, "the cat"]) for text in TEXTS))
            await asyncio.sleep(0)
            held.go_on(100)
            await first
            for text, got in zip(TEXTS, await asyncio.gather(*calls, return_exceptions=True), strict=True):
                if text == "guitar":
                    assert isinstance(got, OSError)
                else:
                    np.testing.assert_allclose(got, held.encode([text, "the cat"]), rtol=0, atol=1e-6)
            # And the batcher goes on.
            held.ids_that_fail = []
            assert (await shared.encode(["a man"])).shape == (1, 32)
            assert shared.queued_tokens == 0

    run(main)


def test_a_thread_that_goes_on_one_by_one_still_runs(held: HeldEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a newcomer on another thread would think itself alone, and take all threads."""
    counted: list[bool] = []
    held.fail_with("guitar")
    held.go_on(100)
    hold, held_run = threading.Event(), held.run

    async def main() -> None:
        async with AsyncEncoder(held) as shared:

            def noted(ids: Any, **options: Any) -> Any:
                counted.append(threading.get_ident() in shared._batcher._running)
                assert hold.wait(60)
                return held_run(ids, **options)

            monkeypatch.setattr(held, "run", noted)
            calls = started(*(shared.encode([text]) for text in TEXTS))
            await asyncio.sleep(0)
            hold.set()
            await asyncio.gather(*calls, return_exceptions=True)

    run(main)
    assert len(counted) > len(TEXTS)
    assert all(counted)


def test_a_reached_limit_is_named(held: HeldEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    async def main() -> None:
        async with AsyncEncoder(held) as shared:
            with pytest.raises(LimitError):
                await shared.encode(["a man"])

    monkeypatch.setattr(held._tokenizer, "encode", fail)
    run(main)


def test_a_defect_leaves_nobody_waiting(held: HeldEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_type))
    take = FairQueue.take

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        async with AsyncEncoder(held) as shared:
            (running,) = started(shared.encode(["a man"]))
            await held.began()
            waiting = started(*(shared.encode([text]) for text in TEXTS))
            await asyncio.sleep(0)
            monkeypatch.setattr(FairQueue, "take", fail)
            held.go_on()
            assert (await running).shape == (1, 32)
            for each in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(each, ZeroDivisionError)
            await reached(lambda: reported)
            # Another thread takes up what comes next.
            monkeypatch.setattr(FairQueue, "take", take)
            held.go_on()
            assert (await shared.encode(["a cat"])).shape == (1, 32)
            assert shared.queued_tokens == 0

    run(main)
    assert reported == [ZeroDivisionError]


def test_no_thread_to_be_had(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    async def main(encoder: Encoder) -> None:
        async with AsyncEncoder(encoder) as shared:
            with monkeypatch.context() as patch:
                patch.setattr(threading.Thread, "start", refuse)
                with pytest.raises(LimitError):
                    await shared.encode(["a man"])
            assert shared.queued_tokens == 0
            assert (await shared.encode(["a man"])).shape == (1, 32)

    with Encoder(artifact) as encoder:
        run(lambda: main(encoder))
