"""The command `search`: queries from the command line, a file, or a prompt."""

import argparse
import contextlib
import itertools
import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import SearchIndexError, SimCSEError
from .arguments import (
    PROGRAM,
    Commands,
    add_artifact_options,
    add_command,
    add_index,
    add_text_column,
    add_where,
    count,
    number,
)
from .output import counted_cuts, one_line, print_json
from .streams import message_of, print_message, print_out

if TYPE_CHECKING:
    from ..index import Hit, Index

# Queries that are encoded and searched for together.
_GROUP_QUERIES = 1024


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    search = add_command(commands, "search", "find the entries of an index that are nearest in meaning", run)
    add_index(search)
    queries = search.add_mutually_exclusive_group()
    queries.add_argument(
        "query", metavar="QUERY", nargs="?", help="a sentence; without one, a prompt asks, or stdin has one per line"
    )
    queries.add_argument("--file", metavar="FILE", help="queries, as texts for encode; - for stdin")
    add_text_column(search)
    search.add_argument("-k", type=count, metavar="N", default=5, help="most hits per query (default: %(default)s)")
    search.add_argument("--threshold", type=_cosine, metavar="COSINE", help="least score of a hit, from -1 to 1")
    add_where(search, """what a hit's metadata must meet: '{"year": {"$gte": 2020}}'""")
    search.add_argument(
        "--mode",
        choices=("vector", "keywords", "hybrid"),
        default="vector",
        help="rank by meaning, by the words in common, or by both (default: %(default)s)",
    )
    search.add_argument("--exact", action="store_true", help="compare every vector, however many there are")
    add_artifact_options(search)


def _cosine(text: str) -> float:
    if not -1 <= number(text) <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from -1 to 1")
    return number(text)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..index import Index

    with (
        counted_cuts() as cuts,
        Index.open(args.index, read_only=True, same_model=args.same_model, artifact=args.artifact) as index,
    ):
        if not len(index):
            raise SearchIndexError(f"{args.index}: is empty, so there is nothing to find; {PROGRAM} index add fills it")
        if args.query is None and args.file is None and not args.json and _at_terminal():
            _prompt(index, args)
            return
        results, bold = [], _is_bold()
        with _queries(args) as queries:
            while group := list(itertools.islice(queries, _GROUP_QUERIES)):
                for query, hits in zip(group, _search(index, args, group), strict=True):
                    if args.json:
                        results.append({"query": query, "hits": [_json_of(index, hit) for hit in hits]})
                        continue
                    if args.query is None:
                        print_out(f"> {one_line(query)}")
                    print_out(_lines(hits, bold=bold), styled=bold)
    if args.json:
        print_json({"index": args.index, "results": results, "truncated": sum(cuts)})


def _json_of(index: "Index", hit: "Hit") -> dict[str, Any]:
    return {**hit._asdict(), "key": index.about.key_kind.in_json(hit.key)}


def _is_bold() -> bool:
    """Whether ranks and scores are bold: on a terminal that can, unless its user declines (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _at_terminal() -> bool:
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


@contextlib.contextmanager
def _queries(args: argparse.Namespace) -> Iterator[Iterator[str]]:
    from ..files.opening import STDIN
    from ..files.texts import open_texts

    if args.query is not None:
        yield iter([args.query])
        return
    with open_texts(STDIN if args.file is None else args.file, args.text_column) as texts:
        yield texts


def _search(index: "Index", args: argparse.Namespace, queries: list[str]) -> "list[list[Hit]]":
    exact = True if args.exact else None
    return index.search(queries, args.k, threshold=args.threshold, where=args.where, exact=exact, mode=args.mode)


def _prompt(index: "Index", args: argparse.Namespace) -> None:
    """Ask for queries until Ctrl-D."""
    print_message(f"{args.index}: {len(index):,} entries; a query a line, Ctrl-D ends")
    bold = _is_bold()
    # With it, input() edits lines and remembers them; some builds of Python lack it.
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401
    while True:
        try:
            query = input("> ")
        except EOFError:
            print_out("")
            return
        if not query.strip():
            continue
        try:
            print_out(_lines(_search(index, args, [query])[0], bold=bold), styled=bold)
        except SimCSEError as error:
            # The prompt survives a query that cannot be searched for, such as bytes that are not UTF-8.
            print_message(f"error: {message_of(error)}")


def _lines(hits: "list[Hit]", *, bold: bool) -> str:
    """A hit per line: rank and score, bold if ``bold`` says so, then key, text and metadata."""
    if not hits:
        return "   nothing found"
    keys = [one_line(str(hit.key)) for hit in hits]
    width = max(map(len, keys))
    begin, end = ("\x1b[1m", "\x1b[0m") if bold else ("", "")
    return "\n".join(
        f"{begin}{rank:>4}  {hit.score:7.4f}{end}  [{key:>{width}}]  {one_line(hit.text)}"
        + (f"  {one_line(json.dumps(hit.metadata, ensure_ascii=False))}" if hit.metadata is not None else "")
        for rank, (key, hit) in enumerate(zip(keys, hits, strict=True), 1)
    )
