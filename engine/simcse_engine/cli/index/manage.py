"""The commands `index remove`, `count`, `info`, `compact`, `keywords` and `export`."""

import argparse
import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..arguments import PROGRAM, Commands, add_command, add_index, add_where
from ..bars import Bar
from ..output import one_line, print_report, print_result
from ..signals import telling_what_is_safe

if TYPE_CHECKING:
    from ...index import IndexInfo


def add_parsers(commands: Commands) -> None:
    """Declare the commands."""
    remove = add_command(commands, "remove", "remove entries", _remove)
    add_index(remove)
    which = remove.add_mutually_exclusive_group(required=True)
    # The default tells argparse that none were given.
    which.add_argument("keys", metavar="KEY", nargs="*", default=[], help="of an entry; a key without one is ignored")
    add_where(which, "in place of keys, what an entry's metadata must meet; {} removes all")
    count = add_command(commands, "count", "say how many entries there are", _count)
    add_index(count)
    add_where(count, "what an entry's metadata must meet to be counted")
    add_index(add_command(commands, "info", "say what an index is and holds", _info))
    text = "give back the space of what was removed or replaced, and build the search graph anew"
    add_index(add_command(commands, "compact", text, _compact))
    text = "index the texts' words, for search --mode hybrid and keywords, or build that index again"
    add_index(add_command(commands, "keywords", text, _keywords))
    export = add_command(commands, "export", "write all entries, with their vectors, into a file", _export)
    add_index(export)
    export.add_argument("output", metavar="FILE", help=".parquet, .arrow or .jsonl; is replaced")


def _remove(args: argparse.Namespace) -> None:
    from ...index import Index

    with Index.open(args.index, read_only=False) as index:
        kind = index.about.key_kind
        keys = [kind.of_text(key, args.index) for key in args.keys] or None
        removed = index.remove(keys, where=args.where)
        left = len(index)
    report = {"index": args.index, "removed": removed, "entries": left}
    print_report(args, report, f"{removed:,} removed; {left:,} are left")


def _count(args: argparse.Namespace) -> None:
    from ...index import Index

    with Index.open(args.index, read_only=True) as index:
        entries = index.count(args.where)
    print_result(args, {"index": args.index, "entries": entries}, lambda: str(entries))


def _info(args: argparse.Namespace) -> None:
    from ...index import Index

    with Index.open(args.index, read_only=True) as index:
        info = index.info()
    facts = asdict(info)
    about = facts.pop("about")
    print_result(args, {"index": args.index, **facts, **about}, lambda: _info_lines(args.index, info))


def _info_lines(index: str, info: "IndexInfo") -> str:
    """The facts of an index, one per line."""
    facts = {
        "entries": f"{info.entries:,}",
        "removed": f"{info.dead:,} (index compact gives their room back)" if info.dead else "0",
        "keys": info.about.key_kind.plural,
        "in the graph": f"{info.in_graph:,}",
        "keywords": "yes" if info.about.keywords else "no (index keywords makes them)",
        "artifact": info.about.artifact,
        "vectors": f"{info.about.dimension} floats; {info.about.dtype} in the graph",
        "max tokens": str(info.about.max_tokens),
        "identity": info.about.identity,
        "model": info.about.model,
        "size": f"{info.size_bytes / 1e6:,.1f} MB",
    }
    return "\n".join([index, *(f"  {name:<13} {one_line(value)}" for name, value in facts.items())])


def _compact(args: argparse.Namespace) -> None:
    from ...index import Index

    with (
        Index.open(args.index, read_only=False) as index,
        telling_what_is_safe(PROGRAM, lambda: f"{args.index} is as it was before"),
    ):
        before = index.info().size_bytes
        with contextlib.closing(Bar("entries", len(index))) as bar:
            index.compact(progress=bar.advance)
        info = index.info()
    print_report(
        args,
        {"index": args.index, "entries": info.entries, "size_bytes_before": before, "size_bytes": info.size_bytes},
        f"{args.index}: {before / 1e6:,.1f} MB before, {info.size_bytes / 1e6:,.1f} MB now",
    )


def _keywords(args: argparse.Namespace) -> None:
    from ...index import Index

    with Index.open(args.index, read_only=False) as index:
        index.build_keywords()
        entries = len(index)
    print_report(args, {"index": args.index, "entries": entries}, f"{args.index}: the words of {entries:,} texts")


def _export(args: argparse.Namespace) -> None:
    from ...index import Index

    with (
        telling_what_is_safe(PROGRAM, lambda: f"{args.output} was not written"),
        Index.open(args.index, read_only=True) as index,
        contextlib.closing(Bar("entries", len(index))) as bar,
    ):
        entries = index.export(args.output, progress=bar.advance)
    print_report(args, {"output": args.output, "entries": entries}, f"{args.output}: {entries:,} entries")
