"""The parser of a command line: without arguments it shows its help, and it says what a typing error meant."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from .streams import writing_stdout


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` that suggests the command, option or choice that was meant."""

    def parse_known_args(  # type: ignore[override]  # argparse's has overloads for namespaces of other types
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse as argparse does, but tell of unknown options before missing arguments."""
        words = list(sys.argv[1:] if args is None else args)
        if not words and any(action.required for action in self._actions):
            self.print_help(sys.stderr)
            self.exit(2)
        self._refuse_unknown(words)
        return super().parse_known_args(words, namespace)

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        has_commands = any(isinstance(action, argparse._SubParsersAction) for action in self._actions)
        for word in words:
            # What follows a command is for the command's own parser.
            if word == "--" or (has_commands and not word.startswith("-")):
                return
            name = word.partition("=")[0]
            # argparse takes a word with a space for an argument.
            if not word.startswith("--") or " " in word or name in self._option_string_actions:
                continue
            if self.allow_abbrev and any(option.startswith(name) for option in self._option_string_actions):
                continue
            self.error(f"unknown option: {name}{_suggestion(name, self._option_string_actions)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = list(map(str, action.choices))
            raise argparse.ArgumentError(
                action,
                f"invalid choice: {value!r}{_suggestion(str(value), choices)} (choose from {', '.join(choices)})",
            )

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is not sys.stdout:
            super()._print_message(message, file)
            return
        with writing_stdout():  # argparse would keep a refusal to itself
            file.write(message)

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and end the program with 2."""
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: error: {message}\n")


def _suggestion(word: str, known: Iterable[str]) -> str:
    import difflib  # for those alone who have mistyped

    near = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {near[0]}?" if near else ""
