"""AsyncEncoder in the life of a process: import, fork, exit, Ctrl-C."""

import os
from pathlib import Path

import pytest

from support.child import run_script

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

# What the scripts begin with: calls of argv[1]'s encoder under way, more than it can be done with soon.
UNDER_WAY = """
    import asyncio, contextlib, os, sys, threading, warnings
    # Python 3.12 and later; that it goes well here is what is tested.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    import numpy as np
    from simcse_engine import AsyncEncoder, Encoder
    from simcse_engine.batching import BatchingOptions
    HUGE = [f"the man plays {number}" for number in range(200_000)]
    encoder = Encoder(sys.argv[1], threads=2)
    shared = AsyncEncoder(encoder, BatchingOptions(cache_bytes=100_000))
    want = encoder.encode(["a man", "a cat"])

    async def check():
        got = await asyncio.gather(*(shared.encode([text]) for text in ("a man", "a cat")))
        assert np.abs(np.concatenate(got) - want).max() <= 1e-6

    async def ran_once(shared=shared):
        # One is done, so the threads are at the others.
        call = asyncio.ensure_future(shared.encode(HUGE))
        await asyncio.sleep(0)
        await check()
        return call

    def wait(pid):
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)
"""


def run_with(script: str, artifact: Path) -> str:
    return run_script(UNDER_WAY + script, artifact, seconds=60)


def test_import_leaves_asyncio_alone() -> None:
    script = """
    import sys
    import simcse_engine
    assert "asyncio" not in sys.modules
    simcse_engine.AsyncEncoder
    assert "asyncio" in sys.modules
    """
    run_script(script)


@needs_fork
def test_fork_with_calls_under_way(artifact: Path) -> None:
    script = """
    def in_child():
        assert shared.queued_tokens == 0
        asyncio.run(check())
        asyncio.run(shared.close())
        # asyncio bears no other end of a child: it would close the parent's loop.
        os._exit(7)

    loop = asyncio.new_event_loop()
    task = loop.create_task(ran_once())
    call = loop.run_until_complete(task)
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            in_child()
        assert wait(pid) == 7
        loop.run_until_complete(check())
    call.cancel()
    loop.run_until_complete(asyncio.wait([call]))
    assert shared.queued_tokens == 0
    loop.run_until_complete(shared.close())
    loop.close()
    """
    assert run_with(script, artifact) == ""


@needs_fork
def test_a_child_that_uses_nothing_ends(artifact: Path) -> None:
    script = """
    async def main():
        call = await ran_once()
        call.cancel()
    asyncio.run(main())
    for _ in range(5):
        pid = os.fork()
        if pid == 0:
            sys.exit(7)  # the interpreter's whole ending, destructors too
        assert wait(pid) == 7
    """
    assert run_with(script, artifact) == ""


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "del encoder, shared"])
def test_a_program_ends_amid_calls_of_a_thread(artifact: Path, end: str) -> None:
    script = f"""
    began = threading.Event()

    async def forever():
        call = await ran_once()
        began.set()
        await call

    def thread():
        # asyncio cannot end well when the interpreter ends.
        with contextlib.suppress(RuntimeError):
            asyncio.run(forever())

    threading.Thread(target=thread, daemon=True).start()
    began.wait()
    {end}
    """
    assert run_with(script, artifact) == ""


def test_a_program_ends_after_calls_that_were_cancelled(artifact: Path) -> None:
    assert run_with("    asyncio.run(ran_once())", artifact) == ""


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")
def test_ctrl_c(artifact: Path) -> None:
    script = """
    import signal

    async def main():
        call = await ran_once()
        os.kill(os.getpid(), signal.SIGINT)
        await call

    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        assert shared.queued_tokens == 0
        asyncio.run(check())
        print("interrupted")
    """
    assert run_with(script, artifact) == "interrupted\n"
