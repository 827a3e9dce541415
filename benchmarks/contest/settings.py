"""The best setting of a peer, searched on a sample before anything is measured.

A setting is judged by runs after unrecorded ones of the same texts: libraries prepare kernels when they first see a
shape, which can take longer than the work.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ..kept import Kept
from ..record import BENCH
from .peers.process import Process
from .peers.workers.protocol import Load, Setting

# Kept because the search takes as long as the measurement.
SETTINGS = BENCH / "settings.json"

_FIRST_BATCH = 32
_SMALLEST, _LARGEST = 1, 256

# Unrecorded runs. Several workers prepare kernels each, and which worker gets a batch is chance.
_WARM_UPS, _WARM_UPS_OF_SEVERAL = 1, 4

# A setting that reaches a smaller share of the best rate is not run again.
_HOPELESS = 0.6


@dataclass(frozen=True, kw_only=True)
class Best:
    """The result of a search: the fastest setting, and what all reached."""

    setting: Setting
    tried: dict[str, float]  # texts a second, or alone the median milliseconds: the better of two runs

    @classmethod
    def kept(cls, key: str, process: Process, search: Callable[[], Self]) -> Self:
        """The best setting that is kept under this key, or that a search with this process finds."""

        def find() -> Self:
            print(f"searching the best settings of {process.module}", flush=True)
            best = search()
            # It has loaded the model a dozen times, and some libraries leak memory.
            process.close()
            return best

        best = Kept(SETTINGS).once(key, find)
        return cls(setting=Setting(**best["setting"]), tried=best["tried"])


def first_setting(threads: int) -> Setting:
    """The setting that a user would begin with."""
    return Setting(batch=_FIRST_BATCH, equal=False, workers=1, threads=threads)


def best_bulk(process: Process, load: Load, *, own_batches: bool, sample: Sequence[str]) -> Best:
    """Find the fastest setting for many texts: how batches run and are made, then their size.

    The sample has as many texts as a round of the measurement: their number decides how full batches of one length
    are, and how much the lengths differ in batches that are cut from a sorted list.
    """
    rates = _Rates(process, load, sample)
    start = load.setting
    layouts = {(1, start.threads), (start.threads, 1)} if own_batches else {(1, start.threads)}
    kinds = (False, True) if own_batches else (False,)
    for workers, threads in sorted(layouts):
        for equal in kinds:
            rates.of(replace(start, workers=workers, threads=threads, equal=equal))
    for equal in kinds:
        # Batches of equal lengths may be best at another size than those of sorted ones.
        rates.climb(replace(rates.best, equal=equal))
    return rates.best_of_all()


def best_batch(process: Process, load: Load, sample: Sequence[str]) -> Best:
    """Find the batch size that is fastest for texts like these; all else is as ``load`` has it."""
    rates = _Rates(process, load, sample)
    rates.climb(load.setting)
    return rates.best_of_all()


def best_alone(process: Process, load: Load, singles: Sequence[str]) -> Best:
    """Find the fastest setting for one text at a time."""
    waits = {}
    for threads in sorted({1, load.setting.threads}):
        setting = Setting(batch=1, equal=False, workers=1, threads=threads)
        process.load(replace(load, setting=setting))
        process.each(singles)
        waits[setting] = min(float(np.median(process.each(singles))) * 1e3 for _ in range(2))
    return Best(
        setting=min(waits, key=waits.__getitem__), tried={str(setting): wait for setting, wait in waits.items()}
    )


class _Rates:
    """Texts a second, by setting."""

    def __init__(self, process: Process, load: Load, sample: Sequence[str]) -> None:
        self._process, self._load, self._sample = process, load, sample
        self._rates: dict[Setting, float] = {}

    def of(self, setting: Setting) -> float:
        """A setting's rate, measured where it is not known."""
        if setting not in self._rates:
            self._process.load(replace(self._load, setting=setting))
            for _ in range(_WARM_UPS if setting.workers == 1 else _WARM_UPS_OF_SEVERAL):
                self._process.encode(self._sample)
            rate = len(self._sample) / self._process.encode(self._sample)
            if rate > _HOPELESS * max(self._rates.values(), default=0):
                rate = max(rate, len(self._sample) / self._process.encode(self._sample))
            self._rates[setting] = rate
        return self._rates[setting]

    def climb(self, first: Setting) -> None:
        """Halve and double the batch, each as long as it gets faster."""
        for factor in (0.5, 2):
            best, batch = self.of(first), int(first.batch * factor)
            while _SMALLEST <= batch <= min(_LARGEST, len(self._sample)):
                rate = self.of(replace(first, batch=batch))
                if rate < best:
                    break
                best, batch = rate, int(batch * factor)

    @property
    def best(self) -> Setting:
        """The fastest so far."""
        return max(self._rates, key=self._rates.__getitem__)

    def best_of_all(self) -> Best:
        """The fastest, with all rates."""
        return Best(setting=self.best, tried={str(setting): rate for setting, rate in self._rates.items()})
