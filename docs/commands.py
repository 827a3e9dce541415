"""Writes the command line's reference into `commands.md`, from the parsers themselves.

python docs/commands.py            write it
python docs/commands.py --check    exit with 1 if it differs
"""

import argparse
import sys
from pathlib import Path

from simcse_engine.cli.main import parser as engine
from simcse_export.cli import parser as export

PAGE = Path(__file__).with_name("commands.md")
BEGIN, END = "<!-- commands -->\n", "<!-- /commands -->"


def main() -> int:
    """Write the page, or compare it with the parsers."""
    before = PAGE.read_text(encoding="utf-8")
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    after = head + BEGIN + reference() + END + tail
    if "--check" in sys.argv:
        return int(before != after)
    PAGE.write_text(after, encoding="utf-8")
    return 0


def reference() -> str:
    """All commands, one section each."""
    return "".join([section("simcse-export", export()), *commands("simcse-engine", engine())])


def commands(name: str, parser: argparse.ArgumentParser) -> list[str]:
    """The sections of a parser's commands, and of theirs."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not nested:
        return [section(name, parser)]
    return [part for verb, child in nested[0].choices.items() for part in commands(f"{name} {verb}", child)]


def section(name: str, parser: argparse.ArgumentParser) -> str:
    """One command: what it does, and a table of its arguments."""
    lines = [f"## {name}", "", parser.description or "", "", "| | |", "|---|---|"]
    for action in parser._actions:
        if action.dest in ("help", "version"):
            continue
        value = action.metavar or (f"{{{','.join(map(str, action.choices))}}}" if action.choices else "")
        value = "" if action.nargs == 0 else str(value)
        forms = ", ".join(f"`{f'{flag} {value}'.strip()}`" for flag in action.option_strings) or f"`{value}`"
        help_text = (
            (action.help or "")
            .replace("%(default)s", str(action.default))
            .replace("%(prog)s", name)
            .replace("|", "\\|")
        )
        lines.append(f"| {forms.replace('|', chr(92) + '|')} | {help_text.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n\n"


if __name__ == "__main__":
    sys.exit(main())
