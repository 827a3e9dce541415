"""The command `similarity`: cosines between sentences."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .arguments import Commands, add_artifact, add_command, add_encoder_options, add_limit_options, open_encoder
from .output import counted_cuts, print_result

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SENTENCE_WIDTH = 72


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(commands, "similarity", "print the cosines between sentences", run)
    add_artifact(parser)
    parser.add_argument("first", metavar="SENTENCE")
    parser.add_argument("others", metavar="SENTENCE", nargs="+")
    add_encoder_options(parser)
    add_limit_options(parser)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..measure.cosines import unit_rows

    sentences = [args.first, *args.others]
    with counted_cuts(args.truncate) as cuts, open_encoder(args) as encoder:
        units = unit_rows(encoder.encode(sentences))
    values = units @ units.T
    report = {"sentences": sentences, "cosines": values.tolist(), "truncated": sum(cuts)}
    print_result(
        args, report, lambda: f"{values[0, 1]:.4f}" if len(sentences) == 2 else cosine_table(sentences, values)
    )


def cosine_table(sentences: Sequence[str], values: "NDArray[np.float64]") -> str:
    """One row and one column per sentence, both numbered, and the sentences at the rows' ends."""
    # Sentences come last since their width varies.
    heads = "".join(f"{number:>9}" for number in range(1, len(sentences) + 1))
    rows = [f"{'':4}{heads}"]
    for number, (sentence, row) in enumerate(zip(sentences, values, strict=True), 1):
        rows.append(f"{number:>4}{''.join(f'{value:>9.4f}' for value in row)}  {_shortened(sentence)}")
    return "\n".join(rows)


def _shortened(sentence: str) -> str:
    line = " ".join(sentence.split())
    return line if len(line) <= _SENTENCE_WIDTH else line[: _SENTENCE_WIDTH - 1] + "…"
