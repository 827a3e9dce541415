"""Which questions a run asks: the most valuable first, as many as its seconds allow. Pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question about one model.

    Attributes:
        name: its file in this folder, or a function of one, see `questions`.
        model: whose contestants it needs.
        seconds: that it takes on an H100, by estimate, with the loading of contestants that earlier ones did not need.
    """

    name: str
    model: str
    seconds: float

    @property
    def key(self) -> str:
        return f"{self.model} {self.name}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked, in this order, and why the rest is not."""

    asked: list[Question]
    left_out: dict[str, str]  # by the question's key


def planned(questions: Iterable[Question], budget: float | None, known: Mapping[str, float]) -> Plan:
    """Fit questions, the most valuable first, into ``budget`` seconds; None is any number.

    A question too long for what is left makes room for shorter ones behind it.

    Args:
        questions: in the order of their value.
        budget: seconds.
        known: what questions took before, by their key; it counts instead of the estimate.
    """
    asked, left_out = [], {}
    left = budget
    for question in questions:
        seconds = known.get(question.key, question.seconds)
        if left is not None and seconds > left:
            left_out[question.key] = f"takes about {seconds:.0f} s, and {max(0, left):.0f} s were left"
            continue
        asked.append(question)
        left = None if left is None else left - seconds
    return Plan(asked=asked, left_out=left_out)


def described(plan: Plan, questions: Sequence[Question], known: Mapping[str, float]) -> str:
    """The plan as people read it, in the order of the questions."""
    chosen = {question.key for question in plan.asked}
    lines = []
    for question in questions:
        seconds = known.get(question.key, question.seconds)
        told = f"about {seconds:.0f} s" if question.key in chosen else f"not asked: {plan.left_out[question.key]}"
        lines.append(f"  {question.key:28} {told}")
    return "\n".join(lines)
