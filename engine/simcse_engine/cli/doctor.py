"""The command `doctor`: what is wrong with this installation or machine."""

import argparse

from .arguments import Commands, add_command
from .output import print_result


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    add_command(commands, "doctor", "examine this installation and machine, and say what to do about each finding", run)


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    from ..doctor.report import examine

    report = examine()
    print_result(args, report.to_json(), report.render)
    return 0 if report.healthy else 1
