"""An encoder whose runs a test holds up, or lets fail."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from simcse_engine import Encoder

T = TypeVar("T")


class HeldEncoder(Encoder):
    """Each run waits until the test lets it go.

    Attributes:
        runs: how many texts each run has that began.
        ids_that_fail: a run with one of these fails.
    """

    def __init__(self, artifact: Path, **options: Any) -> None:
        self.runs: list[int] = []
        self.ids_that_fail: list[list[int]] = []
        self.error: Callable[[], BaseException] = lambda: OSError("the run failed")
        self._began = threading.Semaphore(0)
        self._goes_on = threading.Semaphore(0)
        super().__init__(artifact, **options)

    def run(self, ids: Sequence[list[int]], *, alone: bool, left_out: str = "") -> NDArray[np.float32]:
        self.runs.append(len(ids))
        self._began.release()
        assert self._goes_on.acquire(timeout=60), "the test left a run waiting"
        if any(sentence in self.ids_that_fail for sentence in ids):
            raise self.error()
        return super().run(ids, alone=alone, left_out=left_out)

    async def began(self) -> None:
        """Wait until another run has begun."""
        assert await asyncio.to_thread(self._began.acquire, timeout=60)

    def go_on(self, runs: int = 1) -> None:
        """Let runs go, now or when they begin."""
        self._goes_on.release(runs)

    def fail_with(self, *texts: str, error: Callable[[], BaseException] | None = None) -> None:
        """Let runs of these texts fail."""
        self.ids_that_fail = self.tokenize(texts).ids
        self.error = error or self.error


@pytest.fixture
def held(artifact: Path) -> Iterator[HeldEncoder]:
    """An encoder on one thread whose runs wait."""
    with HeldEncoder(artifact, threads=1) as encoder:
        yield encoder
        encoder.go_on(10_000)


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a test's coroutine; it fails where it hangs."""

    async def limited() -> T:
        async with asyncio.timeout(60):
            return await main()

    return asyncio.run(limited())
