"""What `simcse-engine` may be asked: its commands and their options. What they do is in `simcse_engine.cli.main`."""

import argparse
import math
from pathlib import Path

from .._version import __version__
from ..errors import InputValueError
from .arguments_index import add_index, add_search

PROGRAM = "simcse-engine"


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; its result names the command under ``command``."""
    top = argparse.ArgumentParser(
        PROGRAM, description="Sentences to vectors with an exported SimCSE artifact.", allow_abbrev=False
    )
    top.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", dest="command", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
        added.add_argument("--json", action="store_true", help="one JSON document on stdout")
        return added

    encode = command("encode", "encode a file of sentences, one a line, into a file of vectors")
    _add_artifact(encode)
    encode.add_argument(
        "file", metavar="FILE", nargs="?", default="-", help="UTF-8 lines, .jsonl or .parquet; - or nothing for stdin"
    )
    encode.add_argument(
        *("-o", "--output"), metavar="OUT", required=True, type=_output, help=".npy, .jsonl or .parquet; is replaced"
    )
    _add_encoder_options(encode)
    _add_limit_options(encode)

    similarity = command("similarity", "print the cosines between sentences")
    _add_artifact(similarity)
    similarity.add_argument("first", metavar="SENTENCE")
    similarity.add_argument("others", metavar="SENTENCE", nargs="+")
    _add_encoder_options(similarity)
    _add_limit_options(similarity)

    _add_artifact(command("info", "say what an artifact is, as its manifest tells"))

    verify = command("verify", "compare an artifact's vectors, computed here, with the reference model's")
    _add_artifact(verify)
    _add_encoder_options(verify)

    evaluate = command("evaluate", "score an artifact on STS pairs: Spearman a task, alignment, uniformity")
    _add_artifact(evaluate)
    evaluate.add_argument(
        "--sts",
        metavar="FOLDER",
        required=True,
        type=Path,
        help="its NAME.tsv: score, tab, sentence, tab, sentence",
    )
    _add_encoder_options(evaluate)
    _add_limit_options(evaluate)

    bench = command("bench", "measure how fast an artifact is here, and how near that comes to what the machine can do")
    _add_artifact(bench)
    bench.add_argument(
        "file", metavar="FILE", nargs="?", help="texts, as for encode; of many, the first 10,000 (default: made up)"
    )
    _add_encoder_options(bench)
    bench.add_argument(
        "--seconds", type=_seconds, metavar="S", default=2.5, help="for each thing measured (default: %(default)s)"
    )

    compiled = command(
        "compile", "compile an artifact for TensorRT, on the machine that will run it, as a new artifact"
    )
    _add_artifact(compiled)
    compiled.add_argument("-o", "--output", metavar="NEW", type=Path, required=True, help="folder to make")
    compiled.add_argument(
        "--device", default="cuda", help="cuda or cuda:N, to compile on and for (default: %(default)s)"
    )
    compiled.add_argument(
        "--timings", metavar="FOLDER", type=Path, help="keep what TensorRT measures there, to compile faster next time"
    )
    compiled.add_argument("--force", action="store_true", help="replace an artifact that is there already")

    index = commands.add_parser(
        "index", help="make, fill and look after a search index", description="A search index.", allow_abbrev=False
    )
    add_index(index)
    add_search(command("search", "find the entries of an index that are nearest in meaning"))

    command("doctor", "examine this installation and machine, and say what to do about each finding")
    return top


def _add_artifact(to: argparse.ArgumentParser) -> None:
    to.add_argument("artifact", metavar="ARTIFACT", help="an artifact's folder, or a hub id user/name[@revision]")


def _add_encoder_options(to: argparse.ArgumentParser) -> None:
    to.add_argument("--device", help="cpu, cuda or cuda:N (default: the artifact's target)")
    to.add_argument("--threads", type=_count, metavar="N", help="threads to keep busy (default: all CPUs allowed here)")


def _add_limit_options(to: argparse.ArgumentParser) -> None:
    to.add_argument(
        "--truncate",
        choices=("warn", "error", "silent"),
        default="warn",
        help="what to do with texts longer than the limit (default: cut them and warn)",
    )
    to.add_argument("--max-tokens", type=_count, metavar="N", help="a lower limit than the artifact's")


def _output(name: str) -> Path:
    # Wrong use can be told before anything is loaded, and argparse shows the reasons of this type of error only.
    from ..files.vectors import check_suffix

    try:
        check_suffix(Path(name))
    except InputValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Path(name)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
