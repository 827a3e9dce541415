"""SharedIndex: what waits while one commits is committed together, in order, and each caller gets its own keys."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from simcse_engine import Encoder, Index
from simcse_engine.errors import IndexMismatchError, InputTypeError, InputValueError
from simcse_engine.serve.shared_index import NewEntries, SharedIndex
from support.indexes import DIMENSION, unit_vectors


@pytest.fixture
def index(artifact: Path, tmp_path: Path) -> Iterator[Index]:
    with Encoder(artifact) as encoder, Index.create(tmp_path / "index", encoder) as index:
        yield index


class Held:
    """An index's `add_vectors` that begins when a test allows it, with what it was given."""

    def __init__(self, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began, self.go, self.calls = threading.Event(), threading.Event(), []
        add = index.add_vectors

        def held(vectors: Any, texts: list[str], **options: Any) -> list[int]:
            self.began.set()
            assert self.go.wait(60)
            self.calls.append((texts, options["keys"]))
            return add(vectors, texts, **options)

        monkeypatch.setattr(index, "add_vectors", held)


def run(index: Index, work: Any) -> Any:
    """Run ``work(shared)`` in an event loop."""

    async def main() -> Any:
        with ThreadPoolExecutor(2) as reads:
            shared = SharedIndex(index, index.about.identity, reads)
            try:
                return await work(shared)
            finally:
                shared.close()

    return asyncio.run(main())


def new(*texts: str, keys: list[Any] | None = None, metadata: Any = None) -> NewEntries:
    return NewEntries(texts=texts, keys=keys, metadata=metadata)


def vectors(entries: NewEntries, seed: int = 0) -> Any:
    return unit_vectors(len(entries.texts), seed)


async def while_one_commits(shared: SharedIndex, held: Held, entries: list[NewEntries]) -> list[Any]:
    """Begin a commit, add these meanwhile, and then let it go on; what each got."""
    first = asyncio.ensure_future(shared.add(new("first"), unit_vectors(1)))
    while not held.began.is_set():
        await asyncio.sleep(0.001)
    others = [asyncio.ensure_future(shared.add(each, vectors(each, i))) for i, each in enumerate(entries)]
    await asyncio.sleep(0.01)
    held.go.set()
    assert await first == [0]
    return await asyncio.gather(*others, return_exceptions=True)


def test_what_waits_is_committed_together(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(index, monkeypatch)
    entries = [new("a"), new("b", "c", metadata=[{"x": 1}, None]), new("d")]
    found = run(index, lambda shared: while_one_commits(shared, held, entries))
    assert found == [[1], [2, 3], [4]]
    assert held.calls == [(["first"], None), (["a", "b", "c", "d"], None)]
    assert [(entry.text, entry.metadata) for entry in index.get([2, 3, 4]) if entry] == [
        ("b", {"x": 1}),
        ("c", None),
        ("d", None),
    ]
    (hits,) = index.search(unit_vectors(1, 2), k=1)
    assert hits[0].key == 4


def test_keys_that_clash_wait_for_the_next_commit(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(index, monkeypatch)
    entries = [new("a", keys=[7]), new("b", keys=[8]), new("c", keys=[8]), new("d"), new("e", "f", keys=[9, 7])]
    found = run(index, lambda shared: while_one_commits(shared, held, entries))
    assert found == [[7], [8], [8], [9], [9, 7]]
    assert [keys for _, keys in held.calls] == [None, [7, 8], [8], None, [9, 7]]
    assert [entry and entry.text for entry in index.get([7, 8, 9])] == ["f", "c", "e"]


def test_a_key_is_the_same_however_it_is_spelled(artifact: Path, tmp_path: Path) -> None:
    key = UUID("0190a5e0-1b2c-7d3e-8f40-abcdefabcdef")

    async def checked(shared: SharedIndex) -> list[NewEntries]:
        return [await shared.checked(new(text, keys=[text_of(key)])) for text, text_of in spelled]

    spelled = [("a", str), ("b", lambda key: str(key).upper())]
    with Index.create(tmp_path / "uuids", artifact, keys="uuid") as index:
        assert [entries.keys for entries in run(index, checked)] == [[key], [key]]


def test_whoever_has_left_is_not_added(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(index, monkeypatch)

    async def work(shared: SharedIndex) -> None:
        first = asyncio.ensure_future(shared.add(new("first"), unit_vectors(1)))
        while not held.began.is_set():
            await asyncio.sleep(0.001)
        gone = asyncio.ensure_future(shared.add(new("gone"), unit_vectors(1)))
        stays = asyncio.ensure_future(shared.add(new("stays"), unit_vectors(1)))
        await asyncio.sleep(0.001)
        gone.cancel()
        await asyncio.sleep(0.001)
        held.go.set()
        assert (await first, await stays) == ([0], [1])

    run(index, work)
    assert [texts for texts, _ in held.calls] == [["first"], ["stays"]]


def test_a_failed_commit_is_all_of_its_callers(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(index, monkeypatch)
    entries = [new("a", keys=[2**64 - 2]), new("b"), new("c")]
    found = run(index, lambda shared: while_one_commits(shared, held, entries))
    # After the largest key there is no automatic one.
    assert found[0] == [2**64 - 2]
    assert [type(each) for each in found[1:]] == [InputValueError] * 2
    assert len(index) == 2


def test_commits_are_no_larger_than_the_indexes_own(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(index, monkeypatch)
    entries = [new(*["x"] * 2000) for _ in range(4)]
    found = run(index, lambda shared: while_one_commits(shared, held, entries))
    assert [keys[0] for keys in found] == [1, 2001, 4001, 6001]
    assert [len(texts) for texts, _ in held.calls] == [1, 4000, 4000]


@pytest.mark.parametrize(
    ("bad", "error"),
    [(np.zeros((1, DIMENSION)), InputValueError), (np.full((1, DIMENSION), np.nan), InputValueError),
     (np.ones((1, 3)), IndexMismatchError), (np.ones((2, DIMENSION)), InputValueError)],
)  # fmt: skip
def test_wrong_vectors_are_their_callers_alone(index: Index, bad: Any, error: type[Exception]) -> None:
    async def work(shared: SharedIndex) -> None:
        good = asyncio.ensure_future(shared.add(new("good"), unit_vectors(1)))
        with pytest.raises(error):
            await shared.add(new("bad"), bad.astype(np.float32))
        assert await good == [0]

    run(index, work)
    assert len(index) == 1


def test_entries_are_checked_before_they_are_encoded(index: Index) -> None:
    async def work(shared: SharedIndex) -> None:
        await shared.checked(new("a", keys=[1], metadata=[{}]))
        with pytest.raises(InputValueError, match="keys has 2"):
            await shared.checked(new("a", keys=[1, 2]))
        with pytest.raises(InputTypeError, match="metadata"):
            await shared.checked(new("a", metadata=[{"b": b"bytes"}]))

    run(index, work)


def test_reads_and_other_changes(index: Index) -> None:
    async def work(shared: SharedIndex) -> None:
        await shared.add(new("a", "b"), unit_vectors(2))
        assert await shared.write(lambda index: index.remove([0, 5])) == 1
        assert await shared.read(len) == 1
        assert [entry and entry.text for entry in await shared.read(lambda index: index.get([0, 1]))] == [None, "b"]

    run(index, work)


def test_another_artifacts_vectors_are_refused(index: Index) -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as reads:
            shared = SharedIndex(index, "f" * 64, reads)
            with pytest.raises(IndexMismatchError):
                await shared.add(new("a"), unit_vectors(1))
            shared.close()

    asyncio.run(main())
