"""Cells: values of columns as JSON has them. Each raises ValueError for one that JSON does not have."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, time
    from decimal import Decimal


def json_number(value: float) -> float:
    """A float.

    >>> json_number(0.5)
    0.5
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number of JSON")
    return float(value)


def json_decimal(value: "Decimal") -> int | float:
    """A decimal as the number that it is.

    >>> from decimal import Decimal
    >>> json_decimal(Decimal("2.50")), json_decimal(Decimal("3.00"))
    (2.5, 3)
    """
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    if type(value)(repr(number)) != value:
        raise ValueError(f"{value} has more digits than a float; convert the column to strings")
    return number


def json_time(value: "date | time") -> str:
    """A date, a time, or both as ISO 8601 has it; such strings compare as their times do.

    >>> from datetime import date
    >>> json_time(date(2021, 7, 1))
    '2021-07-01'
    """
    return value.isoformat()
