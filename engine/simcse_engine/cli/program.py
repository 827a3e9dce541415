"""A program's run, `simcse-engine` or `simcse-export`: signals, streams, warnings and errors become exit codes.

The exit code is 0, 1 for a failure, 2 for wrong use, and 128 + its number after a signal: 130 after Ctrl-C, 143 after
SIGTERM.
"""

import contextlib
import io
import signal
import sys
import warnings
from collections.abc import Callable, Iterator

from ..errors import (
    CheckpointWarning,
    IndexWarning,
    KernelsWarning,
    SimCSEError,
    TruncationWarning,
    UnverifiedWarning,
)
from ..machine.limits import naming_limits
from .signals import Stopped, stopping_on_signals
from .streams import drop, flush_stdout, message_of, open_streams, print_message, settle

_WARNINGS = (TruncationWarning, IndexWarning, KernelsWarning, UnverifiedWarning, CheckpointWarning)


def run_program(program: str, work: Callable[[], int]) -> int:
    """Run ``work`` and return the exit code; errors and warnings are a line each, which begins with the program's name.

    SystemExit passes, by which argparse ends a program.
    """
    open_streams()
    _escape_unprintable()
    try:
        with stopping_on_signals(), _showing_warnings(program), naming_limits:
            try:
                with naming_limits:
                    code = work()
            except SystemExit:
                flush_stdout()  # such as --help
                raise
            flush_stdout()
            return code
    except KeyboardInterrupt as stop:
        drop(sys.stdout)  # its reader may have been stopped as well
        return 128 + (stop.number if isinstance(stop, Stopped) else signal.SIGINT)
    except BrokenPipeError:
        drop(sys.stdout)  # its reader has seen enough
        return 1
    except (SimCSEError, OSError) as error:
        print_message(f"{program}: error: {message_of(error)}")
        return 1
    finally:
        settle()


def _escape_unprintable() -> None:
    """Let stdout write what its encoding lacks as escapes, so that a sentence in another script ends no command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def _showing_warnings(program: str) -> Iterator[None]:
    """Print warnings as lines of the program; those of libraries with their kind, and none with a path into code."""

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        text = " ".join(message_of(message).split())
        ours = issubclass(category, _WARNINGS)
        print_message(f"{program}: warning: {text if ours else f'{category.__name__}: {text}'}")

    with warnings.catch_warnings():
        for category in _WARNINGS:
            warnings.simplefilter("always", category)
        warnings.showwarning = show
        yield
