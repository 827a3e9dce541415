import pytest
from benchmarks.turns import alternate, timed_each


def test_every_contestant_runs_every_round_in_a_drawn_order() -> None:
    calls: list[tuple[str, int]] = []

    def contestant(name: str, value: int) -> int:
        calls.append((name, value))
        return value * 10

    contestants = {name: lambda value, name=name: contestant(name, value) for name in "abc"}
    outputs = alternate(contestants, [1, 2, 3, 4], warm_up=0, warm_ups=lambda name: 2 if name == "b" else 1)
    assert outputs == {name: [10, 20, 30, 40] for name in "abc"}
    assert sorted(calls[:4]) == [("a", 0), ("b", 0), ("b", 0), ("c", 0)]
    assert [value for _, value in calls[4:]] == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
    orders = {tuple(name for name, value in calls if value == number) for number in (1, 2, 3, 4)}
    assert len(orders) > 1
    before, calls[:] = list(calls), []
    alternate(contestants, [1, 2, 3, 4], warm_up=0, warm_ups=lambda name: 2 if name == "b" else 1)
    assert calls == before


def test_the_first_round_warms_up_where_nothing_else_does() -> None:
    values: list[int] = []
    assert alternate({"a": values.append}, [5, 6]) == {"a": [None, None]}
    assert values == [5, 5, 6]


def test_a_contestant_that_fails_is_dropped_or_ends_all() -> None:
    def fail(value: int) -> int:
        if value == 2:
            raise ValueError("no")
        return value

    contestants = {"a": fail, "b": lambda value: value}
    with pytest.raises(ValueError, match="no"):
        alternate(contestants, [1, 2, 3])
    dropped = []
    outputs = alternate(contestants, [1, 2, 3], drop=lambda name, error: dropped.append((name, str(error))))
    assert outputs == {"b": [1, 2, 3]}
    assert dropped == [("a", "no")]


def test_rounds_are_announced() -> None:
    numbers: list[tuple[int, int]] = []
    alternate({"a": str}, [1, 2], before_round=lambda number, count: numbers.append((number, count)))
    assert numbers == [(0, 2), (1, 2), (2, 2)]


def test_each_item_is_timed_alone() -> None:
    calls: list[list[int]] = []
    seconds = timed_each(calls.append)([1, 2, 3])
    assert calls == [[1], [2], [3]]
    assert len(seconds) == 3
    assert min(seconds) >= 0
