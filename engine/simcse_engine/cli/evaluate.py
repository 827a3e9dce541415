"""The command `evaluate`: an artifact's quality on STS pairs."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, add_artifact, add_command, add_encoder_options, add_limit_options, open_encoder
from .output import counted_cuts, print_result

if TYPE_CHECKING:
    from ..measure.quality import Quality


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    text = "score an artifact on STS pairs: Spearman of each task, alignment, uniformity"
    parser = add_command(commands, "evaluate", text, run)
    add_artifact(parser)
    parser.add_argument(
        "--sts",
        metavar="FOLDER",
        required=True,
        type=Path,
        help="its NAME.tsv: score, tab, sentence, tab, sentence",
    )
    add_encoder_options(parser)
    add_limit_options(parser)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..measure.quality import measure
    from ..measure.sts import read_tasks

    tasks = read_tasks(args.sts)
    with counted_cuts(args.truncate) as cuts, open_encoder(args) as encoder:
        quality = measure(tasks, lambda texts: encoder.encode(texts, progress=sys.stderr.isatty()))
        identity = encoder.manifest.identity
    report = {"identity": identity, **quality.to_json(), "truncated": sum(cuts)}
    print_result(args, report, lambda: quality_table(quality))


def quality_table(quality: "Quality") -> str:
    """One row per task, then the figures over all of them."""
    from ..measure.quality import POSITIVE, UNIFORMITY_SENTENCES

    width = max(len("uniformity"), *(len(name) for name in quality.tasks))
    rows = [f"{'task':<{width}} {'pairs':>9} {'Spearman x 100':>15}"]
    rows += [f"{name:<{width}} {task.pairs:>9,} {task.spearman:>15.2f}" for name, task in quality.tasks.items()]
    rows.append(f"{'average':<{width}} {'':>9} {quality.average:>15.2f}")
    sampled = f"a sample of {UNIFORMITY_SENTENCES:,} of " if quality.sentences > UNIFORMITY_SENTENCES else ""
    for name, value, over in (
        ("alignment", quality.alignment, f"pairs with a score above {POSITIVE:g}"),
        ("uniformity", quality.uniformity, f"{sampled}{quality.sentences:,} distinct sentences"),
    ):
        shown = "-" if value is None else f"{value:.3f}"
        rows.append(f"{name:<{width}} {'':>9} {shown:>15}  over {over}; smaller is better")
    return "\n".join(rows)
