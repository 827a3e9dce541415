"""Masks: which rows pass a filter."""

import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from ..storage.records import State
from ..storage.transactions import Reader
from ..storage.where import Condition
from .views import View


class Masks:
    """Which rows pass the latest filters. Rows never change, so a later state needs a look at its new rows alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._masks: OrderedDict[Condition, tuple[State, NDArray[np.bool_]]] = OrderedDict()

    def mask_of(self, condition: Condition, view: View, reader: Reader) -> NDArray[np.bool_]:
        """The rows that pass the filter, bool [rows]; those that are dead in ``view`` may be either."""
        state = view.state
        with self._lock:
            earlier, mask = self._masks.get(condition, (state, np.zeros(0, np.bool_)))
        # The mask of a later state lacks what died since this one.
        if earlier.generation != state.generation or earlier.deaths > state.deaths or earlier.rows > state.rows:
            mask = mask[:0]
        known = len(mask)
        if known == state.rows:
            return mask
        extended = np.zeros(state.rows, np.bool_)
        extended[:known] = mask
        extended[reader.matching(condition, known, state.rows)] = True
        with self._lock:
            self._masks[condition] = (state, extended)
            self._masks.move_to_end(condition)
            while len(self._masks) > self._size:
                self._masks.popitem(last=False)
        return extended
