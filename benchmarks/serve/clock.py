"""An alarm at a moment, to the tenth of a millisecond: event loops themselves wait for whole milliseconds. Linux."""

import contextlib
import ctypes
import os

_CLOCK_MONOTONIC, _ABSOLUTE = 1, 1


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Time), ("moment", _Time))


class Alarm:
    """A file that becomes readable at a moment of `time.perf_counter`."""

    def __init__(self) -> None:
        # Python has these calls from 3.13 on.
        self._library = ctypes.CDLL(None, use_errno=True)
        self._file = self._library.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")

    def fileno(self) -> int:
        return self._file

    def set(self, moment: float) -> None:
        """Ring then; at once where it has passed."""
        seconds, rest = divmod(max(moment, 1e-6), 1)
        setting = _Setting(moment=_Time(int(seconds), max(int(rest * 1e9), 1)))
        if self._library.timerfd_settime(self._file, _ABSOLUTE, ctypes.byref(setting), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def silence(self) -> None:
        """Make it unreadable until it rings again."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._file, 8)
