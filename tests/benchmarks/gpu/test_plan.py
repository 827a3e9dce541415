"""Which questions fit into a budget."""

import pytest
from benchmarks.gpu.plan import Question, described, planned
from benchmarks.gpu.question_table import QUESTIONS


def question(name: str, seconds: float) -> Question:
    return Question(name=name, model="minilm", seconds=seconds)


FOUR = [question("first", 40), question("long", 100), question("short", 10), question("last", 15)]


def test_a_long_question_makes_room_for_shorter_ones() -> None:
    plan = planned(FOUR, 60, {})
    assert [each.name for each in plan.asked] == ["first", "short"]
    assert plan.left_out == {
        "minilm long": "takes about 100 s, and 20 s were left",
        "minilm last": "takes about 15 s, and 10 s were left",
    }


def test_what_it_took_before_counts_instead_of_the_estimate() -> None:
    assert [each.name for each in planned(FOUR, 60, {"minilm first": 61, "minilm long": 45}).asked] == ["long", "short"]


@pytest.mark.parametrize(("budget", "count"), [(None, 4), (165, 4), (0, 0), (-3, 0)])
def test_budgets(budget: float | None, count: int) -> None:
    plan = planned(FOUR, budget, {})
    assert len(plan.asked) == count
    assert len(plan.left_out) == 4 - count


def test_the_plan_in_words() -> None:
    lines = described(planned(FOUR, 60, {}), FOUR, {}).splitlines()
    assert [line.split()[1] for line in lines] == ["first", "long", "short", "last"]
    assert "not asked: takes about 100 s" in lines[1]


def test_two_runs_of_five_minutes_ask_all_but_the_last() -> None:
    first = planned(QUESTIONS, 300, {})
    asked = {each.key for each in first.asked}
    second = planned([each for each in QUESTIONS if each.key not in asked], 300, {})
    assert second.left_out.keys() <= {"minilm further-compiled", "bert-base further-compiled"}
