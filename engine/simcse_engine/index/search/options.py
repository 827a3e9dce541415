"""What a search is asked for, checked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ...errors import InputTypeError, InputValueError
from ...inputs import checked_count
from ..storage.where import Condition, compile_where


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What a search is asked for; `Index.search` explains each.

    Attributes:
        k: most hits per query.
        threshold: least score.
        condition: the filter.
        exact: whether to compare every vector; None decides by size.
    """

    k: int
    threshold: float | None
    condition: Condition | None
    exact: bool | None

    @classmethod
    def checked(cls, k: object, threshold: object, where: Mapping[str, Any] | None, exact: object) -> Self:
        """Check the arguments of `Index.search`.

        Raises:
            InputTypeError, InputValueError: one of them is wrong.
        """
        if k is None:
            raise InputTypeError("k=None: expected a whole number")
        count = checked_count("k", k, 0)  # type: ignore[arg-type]
        least = checked_threshold(threshold)
        if exact is not None and not isinstance(exact, bool):
            raise InputTypeError(f"exact={exact!r}: expected True, False or None")
        condition = None if where is None else compile_where(where)
        return cls(k=count, threshold=least, condition=condition, exact=exact)


def checked_threshold(threshold: object) -> float | None:
    """A number, or None."""
    if threshold is None:
        return None
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.floating | np.integer):
        raise InputTypeError(f"threshold is {type(threshold).__name__}; expected a number")
    try:
        number = float(threshold)
    except OverflowError:
        number = math.inf if threshold > 0 else -math.inf
    if math.isnan(number):
        raise InputValueError("threshold is NaN; expected a cosine, from -1 to 1")
    return number
