"""The commands `index get`, `list` and `update`."""

import argparse
import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputValueError
from ..arguments import Commands, add_command, add_index, add_where, count
from ..output import as_json, print_json, print_report
from ..streams import print_out

if TYPE_CHECKING:
    from ...index import Entry, Index

_KEY, _METADATA = "key", "metadata"


def add_parsers(commands: Commands) -> None:
    """Declare the commands."""
    get = add_command(commands, "get", "print entries, a line of JSON each", _get)
    add_index(get)
    get.add_argument("keys", metavar="KEY", nargs="+", help="of an entry; where there is none, the line is null")
    _add_vectors(get)
    text = "print all entries, or those that meet a filter, a line of JSON each, in the order in which they were added"
    listed = add_command(commands, "list", text, _list)
    add_index(listed)
    add_where(listed, "what an entry's metadata must meet")
    listed.add_argument("--limit", type=count, metavar="N", help="at most so many (default: all)")
    _add_vectors(listed)
    update = add_command(
        commands,
        "update",
        "give entries other metadata",
        _update,
        "Their texts are not encoded again, and all change at once. index add changes a text: under the key that it "
        "has, with its metadata.",
    )
    add_index(update)
    update.add_argument("keys", metavar="KEY", nargs="*", help="of an entry; each must have one, and all come first")
    which = update.add_mutually_exclusive_group(required=True)
    # The default tells argparse that none was given: null is one.
    which.add_argument(
        "--metadata", type=_metadata, default=(), metavar="JSON", help="an object for all of these keys; null for none"
    )
    which.add_argument(
        "--file",
        metavar="FILE",
        help='in place of keys, lines of JSON with "key" and "metadata"; .gz and .zst too; - for stdin',
    )
    update.add_argument("--merge", action="store_true", help="keep the fields that the new metadata do not name")


def _add_vectors(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--vectors",
        action="store_true",
        help="with each entry's vector, and the identity of what made it: index add takes such lines",
    )


def _get(args: argparse.Namespace) -> None:
    from ...index import Index

    with Index.open(args.index, read_only=True) as index:
        kind = index.about.key_kind
        keys = [kind.of_text(key, args.index) for key in args.keys]
        _print(args, index, index.get(keys, vectors=True) if args.vectors else index.get(keys))


def _list(args: argparse.Namespace) -> None:
    from ...index import Index

    with Index.open(args.index, read_only=True) as index:
        entries = index.entries(args.where, vectors=True) if args.vectors else index.entries(args.where)
        _print(args, index, itertools.islice(entries, None if args.limit is None else min(args.limit, sys.maxsize)))


def _print(args: argparse.Namespace, index: "Index", entries: Iterable[Any]) -> None:
    """Print entries, or pairs with their vectors, as they come."""
    documents = (None if entry is None else _document(args, index, entry) for entry in entries)
    if args.json:
        print_json({"index": args.index, "entries": list(documents)})
        return
    for document in documents:
        print_out(as_json(document))


def _document(args: argparse.Namespace, index: "Index", found: Any) -> dict[str, Any]:
    """An entry, in a pair with its vector if that is asked for, as `index export` writes it into `.jsonl`."""
    entry: Entry = found[0] if args.vectors else found
    document = {**entry._asdict(), _KEY: index.about.key_kind.in_json(entry.key)}
    if args.vectors:
        # So many digits tell every number of 32 bits from its neighbours.
        document["vector"] = [float(f"{number:.9g}") for number in found[1].tolist()]
        document["identity"] = index.about.identity
    return document


def _update(args: argparse.Namespace) -> None:
    from ...index import Index

    if args.file is not None and args.keys:
        raise InputValueError("--file has the keys; leave out those on the command line")
    if args.file is None and not args.keys:
        raise InputValueError("--metadata is for keys; name them")
    # Before the lock is taken, as stdin may be slow.
    rows = [] if args.file is None else list(_rows(args.file))
    with Index.open(args.index, read_only=False) as index:
        kind = index.about.key_kind
        if args.file is None:
            keys = [kind.of_text(key, args.index) for key in args.keys]
            metadata = [args.metadata] * len(keys)
        else:
            keys = [kind.of_json(key, place) for place, key, _ in rows]
            metadata = [document for _, _, document in rows]
        updated = index.update(keys, metadata, merge=args.merge)
    report = {"index": args.index, "updated": updated}
    print_report(args, report, f"{args.index}: {updated:,} entries have other metadata")


def _rows(source: str) -> Iterator[tuple[str, Any, dict[str, Any] | None]]:
    """The lines of a file: the place, key and metadata of each."""
    from ...files.lines import json_lines
    from ...files.opening import STDIN, open_input, open_stdin

    with ExitStack() as files:
        file = open_stdin() if source == STDIN else files.enter_context(open_input(Path(source)))
        for place, row in json_lines(file, "stdin" if source == STDIN else source):
            # Whoever has changed a text, too, shall not believe that it is kept.
            if not isinstance(row, dict) or row.keys() != {_KEY, _METADATA}:
                raise InputValueError(f'{place}: expected an object with "{_KEY}" and "{_METADATA}" alone')
            if not isinstance(row[_METADATA], dict | None):
                raise InputValueError(f"{place}: the metadata is {row[_METADATA]!r:.40}; expected an object or null")
            yield place, row[_KEY], row[_METADATA]


def _metadata(text: str) -> dict[str, Any] | None:
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON ({error})") from error
    if not isinstance(metadata, dict | None):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a JSON object nor null")
    return metadata
