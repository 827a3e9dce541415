"""The command `simcse-export`: its arguments, its run and its exit codes."""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from simcse_engine import __version__
from simcse_engine.artifact.kinds import POOLERS, TARGETS
from simcse_engine.artifact.upload import check_upload
from simcse_engine.cli.completion import add_completion
from simcse_engine.cli.info import quality_line
from simcse_engine.cli.parser import Parser
from simcse_engine.cli.program import run_program
from simcse_engine.cli.signals import telling_what_is_safe
from simcse_engine.cli.streams import message_of, print_message, print_out
from simcse_engine.errors import InputValueError, PoolerError
from simcse_engine.machine.cpu import usable_cpus

from .hub import push_to_hub
from .options import MAX_BATCH, MAX_QUALITY_DROP, SELECTABLE_LAYOUTS, ExportOptions

PROGRAM = "simcse-export"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `simcse_engine.cli.program` has the exit codes."""
    return run_program(PROGRAM, lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    top = parser()
    arguments = top.parse_args(argv)
    try:
        options = ExportOptions(
            **{each.name: getattr(arguments, each.name) for each in dataclasses.fields(ExportOptions)}
        )
        if arguments.private and arguments.push_to_hub is None:
            raise InputValueError("--private is of the repository on the hub; add --push-to-hub USER/NAME")
        if arguments.push_to_hub is not None:
            check_upload(arguments.push_to_hub, private=arguments.private)
    except InputValueError as error:
        top.error(message_of(error))
    try:
        with telling_what_is_safe(PROGRAM, lambda: "nothing was published"):
            code = _export(arguments, options)
    except PoolerError as error:
        # The checkpoint leaves the choice of pooler open, or does not allow this one: the command line must change.
        print_message(f"{PROGRAM}: error: {message_of(error)}")
        return 2
    if code == 0 and arguments.push_to_hub is not None:
        with telling_what_is_safe(PROGRAM, lambda: f"{arguments.output} is whole"):
            address = push_to_hub(arguments.output, arguments.push_to_hub, private=arguments.private)
        print_message(f"pushed to {address}")
    return code


def _export(arguments: argparse.Namespace, options: ExportOptions) -> int:
    try:
        # Imported here: torch and transformers take seconds, which --help need not. torch comes first, since
        # transformers without it lacks parts of its own.
        import torch

        from .pipeline import export
    except ImportError as error:
        print_message(
            f"{PROGRAM}: error: {error.name} is missing; exporting needs pip install 'simcse-engine[export,cpu]'"
        )
        return 1
    torch.set_num_threads(usable_cpus())  # torch itself ignores a cgroup's quota
    manifest = export(arguments.checkpoint, arguments.output, options, say=print_message)
    if arguments.json:
        print_out(json.dumps(manifest.to_json(), indent=2))
        return 0
    parity = manifest.parity or {}
    size = sum(entry.size_bytes for entry in manifest.files.values())
    print_out(
        f"{arguments.output}: {manifest.source.id}, pooler {manifest.pooler}, {manifest.precision} for "
        f"{manifest.target}, dimension {manifest.dimension}, at most {manifest.max_tokens} tokens "
        f"({manifest.max_tokens_source}), {size / 1e6:.0f} MB"
    )
    print_out(
        f"agrees with transformers on {parity['vectors'] / 2:.0f} texts: max abs difference "
        f"{parity['max_abs_difference']:.1e}, cosine at least {parity['min_cosine']:.7f}"
    )
    if manifest.quality is not None:
        print_out(f"quality: {quality_line(manifest.quality)}")
    return 0


def _capabilities(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part.replace(".", "")) for part in text.split(",")}))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of compute capabilities, such as 89,120") from None


def _points(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of Spearman points, such as 0.2")
    return value


def parser() -> Parser:
    """The parser of the whole command line."""
    top = Parser(prog=PROGRAM, description="Export a trained SimCSE checkpoint (BERT or a relative) to an artifact.")
    top.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="local folder, or hub id such as princeton-nlp/sup-simcse-bert-base-uncased",
    )
    top.add_argument("-o", "--output", metavar="ARTIFACT", type=Path, required=True, help="folder to make")
    top.add_argument("--revision", metavar="R", help="branch, tag or commit of a hub id")
    top.add_argument("--pooler", choices=POOLERS, help="default: what the checkpoint's own files state")
    precisions = sorted({precision for target in TARGETS.values() for precision in target.precisions})
    top.add_argument("--precision", choices=precisions, default="fp32", help="default: %(default)s")
    top.add_argument("--target", choices=tuple(TARGETS), default="cpu", help="default: %(default)s")
    top.add_argument(
        "--layout",
        choices=SELECTABLE_LAYOUTS,
        help="padded: a graph with the usual inputs, input_ids and attention_mask, for FastEmbed, transformers.js and "
        "others (default: the target's own)",
    )
    top.add_argument(
        "--max-tokens",
        metavar="N",
        type=int,
        help="longest text, special tokens included; default: what a sentence-transformers folder states, else 128",
    )
    top.add_argument(
        "--max-batch",
        metavar="N",
        type=int,
        help=f"tensorrt, tensorrt-rtx: most sentences per run (default: {MAX_BATCH})",
    )
    top.add_argument(
        "--compute-capability",
        metavar="CC",
        type=_capabilities,
        default=(),
        help="tensorrt-rtx: of the GPUs to compile for, such as 89,120",
    )
    top.add_argument(
        "--no-normalize", dest="normalize", action="store_false", help="leave the L2 norm out of the graph"
    )
    top.add_argument(
        "--head",
        metavar="FILE.onnx",
        type=Path,
        help="append this ONNX graph, float32 [n, d] to [n, d'], behind the pooler",
    )
    top.add_argument(
        "--whiten",
        metavar="FILE",
        type=Path,
        help="whiten vectors by the mean and covariance of those of these sentences, one per line (BERT-whitening)",
    )
    top.add_argument(
        "--dimensions",
        metavar="N",
        type=int,
        help="floats per vector: with --whiten those that vary most, else the first ones; default: all, or as many as "
        "the checkpoint's files state",
    )
    top.add_argument(
        "--calibration",
        metavar="FILE",
        type=Path,
        help="int8: sentences like those that will be encoded, one per line (default: built-in ones)",
    )
    top.add_argument(
        "--sts",
        metavar="PATH",
        type=Path,
        help="STS tasks to score on, and to judge a cheaper precision by, as evaluate takes them",
    )
    top.add_argument(
        "--max-quality-drop",
        metavar="POINTS",
        type=_points,
        default=MAX_QUALITY_DROP,
        help="with --sts: refuse to publish if the average Spearman x 100 falls by more (default: %(default)s)",
    )
    top.add_argument("--force", action="store_true", help="replace an existing artifact")
    top.add_argument(
        "--push-to-hub",
        metavar="USER/NAME[@BRANCH]",
        help="push the artifact to a repository on the Hugging Face hub too, with a card that is made for it",
    )
    top.add_argument("--private", action="store_true", help="with --push-to-hub: a repository that not everybody reads")
    top.add_argument("--json", action="store_true", help="print the manifest as JSON")
    add_completion(top)
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return top


if __name__ == "__main__":
    sys.exit(main())
