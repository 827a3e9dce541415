"""What the commands `index …` and `search` may be asked."""

import argparse
import json
import math
from collections.abc import Callable
from typing import Any

from .arguments import count

# As `simcse_engine.index.ann.scheme` has them, which is not imported for `--help`: it brings NumPy and SQLite.
DTYPES = ("f32", "f16", "bf16", "i8", "b1")

Command = Callable[[str, str], argparse.ArgumentParser]


def add_index(index: argparse.ArgumentParser) -> None:
    """Give `index` its commands; the result names one under ``index_command``."""
    commands = index.add_subparsers(metavar="COMMAND", dest="index_command", required=True)

    def command(name: str, text: str, more: str = "") -> argparse.ArgumentParser:
        description = f"{text[0].upper()}{text[1:]}. {more}".rstrip()
        added = commands.add_parser(name, help=text, description=description, allow_abbrev=False)
        added.add_argument("--json", action="store_true", help="one JSON document on stdout")
        added.add_argument("index", metavar="INDEX", help="the index's folder")
        return added

    create = command("create", "make an index for an artifact, and fill it from a file")
    create.add_argument("artifact", metavar="ARTIFACT", help="an artifact's folder, or a hub id user/name[@revision]")
    _add_file(create, optional=True)
    create.add_argument(
        "--dtype", choices=DTYPES, default="f16", help="what the search graph keeps of a vector (default: %(default)s)"
    )

    add = command(
        "add",
        "add a file's texts",
        "What has a key that is there already replaces it, and the same text under the same key is not encoded again: "
        "with --first-key, or keys in the file, the same command goes on after an interruption.",
    )
    _add_file(add)
    add.add_argument(
        "--first-key",
        type=_key,
        metavar="N",
        help="the first text's key, the next ones following (default: a free one)",
    )
    _add_artifact_options(add)

    remove = command("remove", "remove entries")
    remove.add_argument(
        "keys", metavar="KEY", nargs="+", type=_key, help="of an entry; a key without one is passed over"
    )

    command("info", "say what an index is and holds")
    command("compact", "give back the room of what was removed or replaced, and build the search graph anew")

    export = command("export", "write all entries, with their vectors, into a file")
    export.add_argument("output", metavar="FILE", help=".parquet, .arrow or .jsonl; is replaced")


def add_search(search: argparse.ArgumentParser) -> None:
    """Give `search` its arguments."""
    search.add_argument("index", metavar="INDEX", help="the index's folder")
    queries = search.add_mutually_exclusive_group()
    queries.add_argument(
        "query", metavar="QUERY", nargs="?", help="a sentence; without one, a prompt asks, or stdin has one a line"
    )
    queries.add_argument("--file", metavar="FILE", help="queries, one a line, .jsonl or .parquet; - for stdin")
    search.add_argument("-k", type=count, metavar="N", default=5, help="most hits a query (default: %(default)s)")
    search.add_argument("--threshold", type=_cosine, metavar="COSINE", help="least score of a hit, from -1 to 1")
    search.add_argument(
        "--where",
        type=_object,
        metavar="JSON",
        help="""what a hit's metadata must fulfil: '{"year": {"$gte": 2020}}'""",
    )
    search.add_argument("--exact", action="store_true", help="compare every vector, however many there are")
    _add_artifact_options(search)


def _add_artifact_options(to: argparse.ArgumentParser) -> None:
    to.add_argument("--artifact", metavar="A", help="the artifact, if it is no longer where the index remembers it")
    to.add_argument(
        "--same-model", action="store_true", help="accept an artifact of the same model in another precision"
    )


def _add_file(to: argparse.ArgumentParser, *, optional: bool = False) -> None:
    to.add_argument(
        "file",
        metavar="FILE",
        nargs="?" if optional else None,
        help="UTF-8 lines; .jsonl and .parquet with text, key, metadata; - for stdin; or with vectors: .npy, and "
        ".parquet, .arrow or .jsonl as index export writes them",
    )
    to.add_argument("--texts", metavar="FILE", help="the texts of an .npy file's vectors, one a line")
    to.add_argument("--keys", metavar="FILE", help="their keys: whole numbers, one a line, or another .npy file")


def _key(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _cosine(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -1 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from -1 to 1")
    return value


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"""{text!r} is no JSON object; one such as '{{"lang": "en"}}' is wanted""")
    return found
