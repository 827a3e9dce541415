"""What several commands take: the options they share, the types of arguments, and the encoder that the options open."""

import argparse
import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from .parser import Parser

if TYPE_CHECKING:
    from ..encoder import Encoder
    from ..inputs import OptimizeFor, Truncate

PROGRAM = "simcse-engine"

_OPERATORS = "its operators are $eq $ne $gt $gte $lt $lte $in $nin $contains $exists $not $and $or"

# What `ArgumentParser.add_subparsers` returns.
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def add_command(
    commands: Commands, name: str, text: str, run: Callable[[argparse.Namespace], int | None], details: str = ""
) -> Parser:
    """Add a command that ``run`` executes; its exit code is 0 unless it returns another.

    ``text`` is its line in the list of commands and begins its own help.
    """
    description = f"{text[0].upper()}{text[1:]}. {details}".rstrip()
    parser = commands.add_parser(name, help=text, description=description, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.set_defaults(run=run)
    return parser


def add_artifact(parser: argparse.ArgumentParser) -> None:
    """Add the argument ARTIFACT."""
    parser.add_argument("artifact", metavar="ARTIFACT", help="an artifact's folder, or a hub id user/name[@revision]")


def add_index(parser: argparse.ArgumentParser) -> None:
    """Add the argument INDEX."""
    parser.add_argument("index", metavar="INDEX", help="the index's folder")


def add_artifact_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of an index's artifact."""
    parser.add_argument("--artifact", metavar="A", help="the artifact, if it is no longer where the index remembers it")
    parser.add_argument(
        "--same-model", action="store_true", help="accept an artifact of the same model in another precision"
    )


def add_where(parser: argparse.ArgumentParser | argparse._MutuallyExclusiveGroup, text: str) -> None:
    """Add the option of a filter on metadata."""
    parser.add_argument("--where", type=_object, metavar="JSON", help=f"{text}; {_OPERATORS}")


def add_text_column(parser: argparse.ArgumentParser) -> None:
    """Add the option of where a file's texts stand."""
    parser.add_argument(
        "--text-column",
        metavar="NAME",
        help="the column or field of the texts in .csv, .tsv, .jsonl, .parquet and .arrow (default: text)",
    )


def add_encoder_options(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add the options of how to run an artifact, on ``several`` devices if asked to."""
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--device", help="cpu, cuda or cuda:N (default: the artifact's target)")
    if several:
        one.add_argument(
            "--devices",
            type=_devices,
            metavar="NAMES",
            help="several that share the work, such as cuda:0,cuda:1, or all for every GPU",
        )
    else:
        parser.set_defaults(devices=None)
    parser.add_argument(
        "--threads", type=count, metavar="N", help="threads to keep busy (default: all CPUs allowed here)"
    )


def add_limit_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of how long texts may be."""
    parser.add_argument(
        "--truncate",
        choices=("warn", "error", "silent"),
        default="warn",
        help="what to do with texts longer than the limit (default: cut them and warn)",
    )
    parser.add_argument("--max-tokens", type=count, metavar="N", help="a lower limit than the artifact's")


def add_prompt_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of what is put before texts."""
    prompts = parser.add_mutually_exclusive_group()
    prompts.add_argument(
        "--prompt-name",
        metavar="NAME",
        help="which of the artifact's prompts is put before each text (default: its default, if it has one)",
    )
    prompts.add_argument("--prompt", metavar="TEXT", help='a prompt of your own; "" for none')


def add_form_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of what is made of each vector."""
    parser.add_argument(
        "--dimensions",
        type=count,
        metavar="N",
        help="keep a vector's first N numbers, at unit length again (default: all)",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "int8", "uint8", "binary", "ubinary"),
        default="float32",
        help="the type of a vector's numbers: those of 8 bits are scaled by the range that export measured, binary "
        "ones are a bit each, packed (default: float32)",
    )


def open_encoder(
    args: argparse.Namespace, artifact: str | None = None, *, optimize_for: "OptimizeFor" = "both"
) -> "Encoder":
    """Open ``artifact``, or the one argument ARTIFACT, as the options above say."""
    from ..encoder import Encoder

    # "silent" silences the warning alone: `counted_cuts` counts the cuts all the same.
    truncate: Truncate = "error" if args.truncate == "error" else "warn"
    return Encoder(
        args.artifact if artifact is None else artifact,
        device=args.device,
        devices=args.devices,
        threads=args.threads,
        truncate=truncate,
        max_tokens=args.max_tokens,
        optimize_for=optimize_for,
    )


def number(text: str) -> float:
    """Convert an argument that is a number; what is none becomes NaN, which is in no range."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def count(text: str) -> int:
    """Convert an argument that is a whole number from 1 on."""
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def key(text: str) -> int:
    """Convert an argument that is an entry's key."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _devices(text: str) -> list[str] | str:
    return text if text == "all" else [name.strip() for name in text.split(",")]


def _object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise argparse.ArgumentTypeError(f"""{text!r} is no JSON object; expected one such as '{{"lang": "en"}}'""")
    return content
