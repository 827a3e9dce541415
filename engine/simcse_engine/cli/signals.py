"""Signals that ask a program to end: Ctrl-C, SIGTERM (docker, Kubernetes, systemd), SIGHUP (a terminal was closed)."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from .streams import print_message

# Windows has no SIGHUP.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


class Stopped(KeyboardInterrupt):
    """A signal has asked the program to end. What keeps or removes work after Ctrl-C does so after the others too.

    Attributes:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise `Stopped` in the main thread at the first signal, and ignore all others from then on.

    By then the block is cleaning up, and after it the interpreter, which would print what interrupted it.

    A signal that is ignored already, as nohup ignores SIGHUP, stays so; likewise one that has a handler.
    """
    stopped: Stopped | None = None

    def stop(number: int, _: object) -> None:
        nonlocal stopped
        if stopped is None:
            stopped = Stopped(number)
            raise stopped

    handlers = {each: signal.getsignal(each) for each in _SIGNALS}
    # Python sets handlers in the main thread alone.
    here = threading.current_thread() is threading.main_thread()
    handled = {each: handler for each, handler in handlers.items() if here and handler in _DEFAULTS}
    try:
        for each in handled:
            signal.signal(each, stop)
        yield
    except BaseException as error:
        # Libraries in C, while they are imported, tell of another error.
        if stopped is not None and error is not stopped:
            raise stopped from error
        raise
    finally:
        if stopped is None:
            for each, handler in handled.items():
                signal.signal(each, handler)


@contextlib.contextmanager
def telling_what_is_safe(program: str, tell: Callable[[], str]) -> Iterator[None]:
    """Print what ``tell`` returns when a signal ends the block."""
    try:
        yield
    except KeyboardInterrupt:
        print_message(f"{program}: interrupted; {tell()}")
        raise
