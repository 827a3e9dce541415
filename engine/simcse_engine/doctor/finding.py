"""A finding: what is the case, how bad it is, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["problem", "advice", "ok"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One judgement.

    Attributes:
        level: "problem" (something asked for cannot work), "advice" (it works, and could be better) or "ok".
        found: what is the case.
        todo: what to do about it; empty where it is fine.
    """

    level: Level
    found: str
    todo: str = ""
