"""The command line, `simcse-engine`: finds the command, runs it and turns errors into exit codes.

Results go to stdout (with ``--json`` as one JSON document), everything else to stderr. The exit code is 0, 1 for a
failure, 2 for wrong use and 130 after Ctrl-C. A command imports what it needs when it runs, so that ``--help`` is
quick.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from .._version import __version__
from ..errors import SimCSEError
from . import bench, compile, doctor, encode, evaluate, index, info, search, similarity, verify
from .arguments import PROGRAM
from .output import escape_unprintable

# In the order of `--help`.
_COMMANDS = (encode, similarity, info, verify, evaluate, bench, compile, index, search, doctor)
_INTERRUPTED = 130  # what shells report of a program that Ctrl-C ended: 128 + SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; wrong use ends in SystemExit(2), as argparse has it."""
    args = parser().parse_args(argv)
    escape_unprintable()
    try:
        code: int = args.run(args) or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of stdout has seen enough. What is left in the buffer must go nowhere when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (SimCSEError, OSError) as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return 1
    return code


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; its result holds the chosen command's function as ``run``."""
    top = argparse.ArgumentParser(
        PROGRAM, description="Sentences to vectors with an exported SimCSE artifact.", allow_abbrev=False
    )
    top.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    return top
