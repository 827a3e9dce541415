"""The option `--print-completion`: prints what a shell needs to complete a program's command lines, made by shtab."""

import argparse
from collections.abc import Sequence
from typing import Any

from ..errors import RuntimeMissingError
from .streams import print_out

# What an argument names, by what the help calls it; hub ids complete to nothing.
_FOLDERS = frozenset({"ARTIFACT", "A", "INDEX", "CHECKPOINT", "NEW", "FOLDER"})
_FILES = frozenset({"FILE", "FILE.onnx", "PATH", "IN", "OUT"})


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Add the option to a program's parser."""
    parser.add_argument(
        "--print-completion",
        choices=("bash", "zsh", "tcsh"),
        action=_PrintCompletion,
        help='print what a shell needs to complete this command, as in eval "$(%(prog)s --print-completion bash)"',
    )


class _PrintCompletion(argparse.Action):
    """Prints the shell's script and ends the program, as ``--help`` does."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002
        values: str | Sequence[Any] | None,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        """Print and end."""
        try:
            import shtab
        except ImportError as error:
            raise RuntimeMissingError(
                "completion needs shtab, which is not installed; pip install 'simcse-engine[completion]'"
            ) from error
        _tell_paths(parser, shtab.FILE, shtab.DIRECTORY)
        print_out(shtab.complete(parser, shell=str(values)), styled=True)
        parser.exit()


def _tell_paths(parser: argparse.ArgumentParser, file: object, folder: object) -> None:
    """Mark, as shtab reads it, the arguments of a parser and of its commands that name files or folders."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _tell_paths(command, file, folder)
        elif action.metavar in _FILES | _FOLDERS:
            action.complete = file if action.metavar in _FILES else folder  # type: ignore[attr-defined]
