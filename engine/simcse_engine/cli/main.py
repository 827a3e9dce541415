"""The command line, `simcse-engine`: finds the command and runs it.

Results go to stdout (with ``--json`` as one JSON document), everything else to stderr; `program` has the exit codes.
A command imports what it needs when it runs, so that ``--help`` is quick.
"""

from collections.abc import Sequence

from .._version import __version__
from . import bench, compile, doctor, encode, evaluate, index, info, search, serve, similarity, verify
from .arguments import PROGRAM
from .completion import add_completion
from .parser import Parser
from .program import run_program

# In the order of `--help`.
_COMMANDS = (encode, similarity, info, verify, evaluate, bench, compile, index, search, serve, doctor)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; wrong use ends in SystemExit(2), as argparse has it."""

    def run() -> int:
        args = parser().parse_args(argv)
        return args.run(args) or 0

    return run_program(PROGRAM, run)


def parser() -> Parser:
    """The parser of the whole command line; its result holds the chosen command's function as ``run``."""
    top = Parser(PROGRAM, description="Sentences to vectors with an exported SimCSE artifact.", allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    add_completion(top)
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
    return top
