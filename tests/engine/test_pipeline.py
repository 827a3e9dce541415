"""Windows are submitted in order and one ahead; what is left at an early end is cancelled."""

from typing import Any

import pytest

from simcse_engine.distinct import Distinct
from simcse_engine.errors import ClosedError, TruncationError, TruncationWarning
from simcse_engine.pipeline import submit_windows
from simcse_engine.schedule import Limits
from simcse_engine.tokenizer import Tokens


class Tokenizer:
    """One token per character, and at most three."""

    max_tokens = 3

    def encode(self, texts: list[str]) -> Tokens:
        return Tokens([[ord(c) for c in text[:3]] for text in texts], [i for i, t in enumerate(texts) if len(t) > 3])


class Pending:
    def __init__(self, ids: list[list[int]]) -> None:
        self.ids = ids
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Runner:
    def __init__(self) -> None:
        self.abandoned = False
        self.limits = Limits(window_texts=2)
        self.submitted: list[Pending] = []

    def submit(self, ids: list[list[int]], skipped: int) -> Pending:  # noqa: ARG002
        self.submitted.append(Pending(ids))
        return self.submitted[-1]


def submit(runner: Runner, *groups: list[str], truncate: str = "warn") -> Any:
    return submit_windows(map(Distinct.of, groups), Tokenizer(), runner, truncate, "")  # type: ignore[arg-type]


def test_windows_come_in_order_and_one_is_ahead() -> None:
    runner = Runner()
    seen = []
    for window in submit(runner, ["a", "b", "a", "c"], ["d"]):
        seen.append((window.count, window.pending.ids))
        assert len(runner.submitted) == min(len(seen) + 1, 3)
    assert seen == [(2, [[97], [98]]), (1, [[99]]), (1, [[100]])]


def test_texts_that_were_cut_are_counted_with_their_repetitions() -> None:
    with pytest.warns(TruncationWarning, match="3 of 5 texts were longer than max_tokens=3") as caught:
        list(submit(Runner(), ["long text", "a", "long text"], ["b", "another"]))
    assert (caught[0].message.cut, caught[0].message.total) == (3, 5)  # type: ignore[union-attr]
    list(submit(Runner(), ["long text"], truncate="silent"))


def test_a_text_that_is_too_long_is_named_by_its_position_among_all() -> None:
    runner = Runner()
    windows = submit(runner, ["a", "b"], ["c", "d", "c", "long text"], truncate="error")
    with pytest.raises(TruncationError, match=r"texts\[5\] has more than max_tokens=3 tokens"):
        list(windows)


def test_an_early_end_cancels_what_is_under_way() -> None:
    runner = Runner()
    windows = submit(runner, ["a", "b", "c", "d"])
    next(windows)
    windows.close()
    assert all(pending.cancelled for pending in runner.submitted)


def test_after_a_fork_nothing_of_the_runner_is_touched() -> None:
    runner = Runner()
    windows = submit(runner, ["a", "b", "c", "d", "e"])
    next(windows)
    runner.abandoned = True
    with pytest.raises(ClosedError, match="begun before a fork"):
        next(windows)
    assert len(runner.submitted) == 2
    assert not any(pending.cancelled for pending in runner.submitted)
