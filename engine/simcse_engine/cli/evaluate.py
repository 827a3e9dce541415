"""The command `evaluate`: the quality of artifacts on STS pairs."""

import argparse
import functools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputValueError
from .arguments import (
    Commands,
    add_command,
    add_encoder_options,
    add_limit_options,
    add_prompt_options,
    open_encoder,
)
from .output import counted_cuts, print_result

if TYPE_CHECKING:
    from ..measure.quality import Quality


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    text = "score artifacts on STS pairs: Spearman, alignment and uniformity of each task"
    details = (
        "The usual tasks come with SentEval/data/downstream/download_dataset.sh of github.com/princeton-nlp/SimCSE: "
        "--sts SentEval. Several artifacts stand in one table."
    )
    parser = add_command(commands, "evaluate", text, run, details)
    parser.add_argument(
        "artifacts", metavar="ARTIFACT", nargs="+", help="artifacts' folders, or hub ids user/name[@revision]"
    )
    parser.add_argument(
        "--sts",
        metavar="PATH",
        required=True,
        type=Path,
        help="a folder of NAME.tsv (score, tab, sentence, tab, sentence), SentEval's folders, or one file of pairs",
    )
    parser.add_argument(
        "--plot",
        metavar="FILE",
        type=_plot,
        help="draw alignment against uniformity, a panel per task, into an .svg, .png or .pdf file",
    )
    add_prompt_options(parser)
    add_encoder_options(parser)
    add_limit_options(parser)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..artifact.hub import locate
    from ..artifact.manifest import Manifest
    from ..measure.quality import measure
    from ..measure.sts import read_tasks

    tasks = read_tasks(args.sts)
    # Whatever can be refused is, before the first artifact takes its minutes.
    for artifact in args.artifacts:
        Manifest.read(locate(artifact))
    qualities: dict[str, Quality] = {}
    reports = []
    for artifact in dict.fromkeys(args.artifacts):
        with counted_cuts(args.truncate) as cuts, open_encoder(args, artifact) as encoder:
            encode = functools.partial(
                encoder.encode, prompt_name=args.prompt_name, prompt=args.prompt, progress=sys.stderr.isatty()
            )
            quality = qualities[artifact] = measure(tasks, encode)
            identity = encoder.manifest.identity
        reports.append({"artifact": artifact, "identity": identity, **quality.to_json(), "truncated": sum(cuts)})
    if args.plot is not None:
        from ..measure.plot import draw

        draw(qualities, args.plot)
    if len(qualities) == 1:
        print_result(args, reports[0], lambda: quality_table(quality))
    else:
        print_result(args, {"artifacts": reports}, lambda: comparison(qualities))


def quality_table(quality: "Quality") -> str:
    """One artifact's: a row per task, then their average, and all tasks together."""
    width = max(len("all together"), *(len(name) for name in quality.tasks))
    rows = [f"{'task':<{width}} {'pairs':>9} {'Spearman x 100':>15} {'alignment':>10} {'uniformity':>11}"]
    rows += [
        f"{name:<{width}} {task.pairs:>9,} {task.spearman:>15.2f} {_shown(task.alignment):>10} "
        f"{_shown(task.uniformity):>11}"
        for name, task in quality.tasks.items()
    ]
    rows.append(f"{'average':<{width}} {'':>9} {quality.average:>15.2f}")
    pairs = sum(task.pairs for task in quality.tasks.values())
    rows.append(
        f"{'all together':<{width}} {pairs:>9,} {'':>15} {_shown(quality.alignment):>10} "
        f"{_shown(quality.uniformity):>11}"
    )
    return "\n".join([*rows, *_legend(quality)])


def comparison(qualities: Mapping[str, "Quality"]) -> str:
    """Several artifacts': a row for each, with the Spearman of each task."""
    first = next(iter(qualities.values()))
    columns = [f"{column:>{len('-99.99')}}" for column in (*first.tasks, "average", "alignment", "uniformity")]
    width = max(len("Spearman x 100"), *map(len, qualities))
    rows = ["  ".join([f"{'Spearman x 100':<{width}}", *columns])]
    for artifact, quality in qualities.items():
        scores = [f"{score:.2f}" for score in (*(task.spearman for task in quality.tasks.values()), quality.average)]
        cells = [*scores, _shown(quality.alignment), _shown(quality.uniformity)]
        padded = [f"{cell:>{len(column)}}" for cell, column in zip(cells, columns, strict=True)]
        rows.append("  ".join([f"{artifact:<{width}}", *padded]))
    return "\n".join([*rows, *_legend(first)])


def _legend(quality: "Quality") -> Iterator[str]:
    from ..measure.quality import POSITIVE, UNIFORMITY_SENTENCES

    sampled = quality.sentences > UNIFORMITY_SENTENCES
    yield (
        f"alignment: of pairs with a score above {POSITIVE:g}; uniformity: of the {quality.sentences:,} distinct "
        f"sentences{f', a sample of {UNIFORMITY_SENTENCES:,}' if sampled else ''}; of "
        "both, smaller is better"
    )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _plot(name: str) -> Path:
    # Wrong use, refused before anything is loaded. argparse shows the message of this error alone.
    from ..measure.plot import check_plot

    try:
        check_plot(Path(name))
    except InputValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Path(name)
