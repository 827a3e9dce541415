"""The command `similarity`: cosines between sentences."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .arguments import (
    Commands,
    add_artifact,
    add_command,
    add_encoder_options,
    add_limit_options,
    add_prompt_options,
    open_encoder,
)
from .output import counted_cuts, one_line, print_result
from .widths import fitted, width_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Columns of a terminal: the least that labels of rows get, those that a column of cosines takes, and between them.
_LEAST_LABEL = 16
_LEAST_COLUMN, _MOST_COLUMN = len("-0.1234"), 24
_GAP = 2


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "similarity", "print the cosines between sentences", run)
    add_artifact(parser)
    parser.add_argument("first", metavar="SENTENCE")
    parser.add_argument("others", metavar="SENTENCE", nargs="+")
    add_prompt_options(parser)
    add_encoder_options(parser)
    add_limit_options(parser)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    import shutil

    from ..measure.cosines import unit_rows

    sentences = [args.first, *args.others]
    with counted_cuts(args.truncate) as cuts, open_encoder(args) as encoder:
        units = unit_rows(encoder.encode(sentences, prompt_name=args.prompt_name, prompt=args.prompt))
    values = units @ units.T
    report = {"sentences": sentences, "cosines": values.tolist(), "truncated": sum(cuts)}
    width = shutil.get_terminal_size().columns
    print_result(
        args, report, lambda: f"{values[0, 1]:.4f}" if len(sentences) == 2 else cosine_table(sentences, values, width)
    )


def cosine_table(sentences: Sequence[str], values: "NDArray[np.float64]", width: int) -> str:
    """A row and a column per sentence; each begins with its number and the sentence, as far as ``width`` allows."""
    # Sentences are cut at once to what can be shown of them, as they may be long.
    labels = [f"{number} {one_line(sentence[:width])}" for number, sentence in enumerate(sentences, 1)]
    rows = min(max(map(width_of, labels)), max(_LEAST_LABEL, width // 3))
    room = (width - rows) // len(labels) - _GAP
    columns = max(_LEAST_COLUMN, min(room, max(map(width_of, labels)), _MOST_COLUMN))
    gap = " " * _GAP
    lines = [" " * rows + "".join(f"{gap}{fitted(label, columns)}" for label in labels)]
    for label, row in zip(labels, values, strict=True):
        lines.append(fitted(label, rows) + "".join(f"{gap}{f'{value:.4f}':<{columns}}" for value in row))
    return "\n".join(line.rstrip() for line in lines)
