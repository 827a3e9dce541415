"""The commands `index create` and `index add`."""

import argparse
import contextlib
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputValueError, SimCSEError
from ..arguments import (
    PROGRAM,
    Commands,
    add_artifact,
    add_artifact_options,
    add_command,
    add_index,
    add_text_column,
    key,
)
from ..bars import Bar
from ..output import counted_cuts, print_report
from ..streams import print_message

if TYPE_CHECKING:
    from ...index import Index
    from ...index.filling import Source


def add_parsers(commands: Commands) -> None:
    """Declare the commands."""
    from ...index.ann.scheme import CANDIDATES_PER_HIT
    from ...index.storage.key_kinds import KEY_KINDS

    create = add_command(commands, "create", "make an index for an artifact, and fill it from a file", _create)
    add_index(create)
    add_artifact(create)
    _add_source(create, optional=True)
    create.add_argument(
        "--dtype",
        choices=tuple(CANDIDATES_PER_HIT),
        default="i8",
        help="how the search graph stores a vector (default: %(default)s)",
    )
    create.add_argument(
        "--key-type",
        choices=tuple(KEY_KINDS),
        default="int",
        help="what its keys are: whole numbers, strings, which the file has to bring, or UUIDs (default: %(default)s)",
    )
    create.add_argument(
        "--keywords", action="store_true", help="index the texts' words too, for search --mode hybrid and keywords"
    )

    add = add_command(
        commands,
        "add",
        "add a file's texts",
        _add,
        "An entry with the same key is replaced, and the same text under the same key is not encoded again: with "
        "--first-key, or keys in the file, the same command goes on after an interruption.",
    )
    add_index(add)
    _add_source(add)
    add.add_argument(
        "--first-key",
        type=key,
        metavar="N",
        help="the first text's key, which the next ones follow (default: a free one)",
    )
    add_artifact_options(add)


def _add_source(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?" if optional else None,
        help="UTF-8 lines; .csv, .tsv, .jsonl, .parquet and .arrow with text and perhaps key, all else being metadata; "
        "all but the last two .gz and .zst too; - for stdin; or with vectors: .npy, and .parquet, .arrow or .jsonl as "
        "index export writes them",
    )
    add_text_column(parser)
    parser.add_argument("--texts", metavar="FILE", help="the texts of an .npy file's vectors, one per line")
    parser.add_argument("--keys", metavar="FILE", help="their keys, one per line, or another .npy file")


def _create(args: argparse.Namespace) -> None:
    from ...errors import OutputError
    from ...index import Index
    from ...index.filling import Source
    from ...index.storage.key_kinds import KEY_KINDS
    from ...index.storage.store import DATABASE

    source = None
    if args.file is not None:
        source = Source(file=args.file, texts=args.texts, keys=args.keys, text_column=args.text_column)
        source.check()
        # Numbers count up from 0 in a new index: known beforehand, so that an interrupted filling can go on.
        source = replace(source, first_key=0 if KEY_KINDS[args.key_type].counted else None)
    if Path(args.index, DATABASE).exists():
        raise OutputError(f"{args.index}: is an index already; {_adding(args.index, source)}")
    with Index.create(args.index, args.artifact, dtype=args.dtype, keys=args.key_type, keywords=args.keywords) as index:
        if source is not None:
            try:
                filled = _fill(index, source, args)
                if not len(index):
                    raise InputValueError(f"{args.file}: holds no texts; no index was made")
            except BaseException:
                with contextlib.suppress(SimCSEError):
                    index.take_back()
                raise
            _report(index, args, filled)
            return
        identity = index.about.identity
    print_report(args, {"index": args.index, "entries": 0, "identity": identity}, f"{args.index}: made; it is empty")


def _add(args: argparse.Namespace) -> None:
    from ...index import Index
    from ...index.filling import Source

    source = Source(
        file=args.file, texts=args.texts, keys=args.keys, first_key=args.first_key, text_column=args.text_column
    )
    source.check()
    options = ["--artifact", args.artifact] if args.artifact is not None else []
    options += ["--same-model"] if args.same_model else []
    with Index.open(args.index, read_only=False, artifact=args.artifact, same_model=args.same_model) as index:
        _report(index, args, _fill(index, source, args, options))


def _fill(index: "Index", source: "Source", args: argparse.Namespace, options: Sequence[str] = ()) -> tuple[int, int]:
    """Fill an index: how many texts were added, and how many were cut.

    ``options`` are those of `index add` with which it goes on after Ctrl-C.
    """
    from ...index.filling import Filling

    with counted_cuts() as cuts, contextlib.closing(Bar("texts")) as bar:
        filling = Filling(index, source, lambda count: bar.advance_texts(count, filling.reading, filling.read))
        try:
            filling.run()
        except (KeyboardInterrupt, SimCSEError) as error:
            bar.close()
            try:
                safe = filling.safe()
            except SimCSEError:  # such as a full disk; what was counted is safe in any case
                safe = filling.added
            end = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            if safe:
                advice = _resuming(args.index, filling.resumed_by, options)
                print_message(f"{PROGRAM}: {end}; {safe:,} texts are safe. {advice}")
            elif end == "interrupted":
                print_message(f"{PROGRAM}: interrupted; nothing was added")
            raise
    return filling.added, sum(cuts)


def _report(index: "Index", args: argparse.Namespace, filled: tuple[int, int]) -> None:
    (added, cut), entries = filled, len(index)
    print_report(
        args,
        {"index": args.index, "added": added, "entries": entries, "truncated": cut},
        f"{args.index}: {added:,} texts added; it has {entries:,}",
    )


def _adding(index: str, source: "Source | None") -> str:
    """How a file comes into an index that is there already; perhaps a killed `index create` has filled it so far."""
    if source is None:
        return f"`{PROGRAM} index add` adds to it"
    adds = f"this adds the file to it:\n  {_command(index, replace(source, first_key=None))}"
    if source.keys is not None or source.first_key is None:
        return adds
    return f"{adds}\nor, if it was made from this very file and interrupted, this goes on:\n  {_command(index, source)}"


def _resuming(index: str, source: "Source | None", options: Sequence[str] = ()) -> str:
    """How an interrupted filling goes on."""
    if source is None:
        return "Added again, entries with keys replace themselves, and others are added twice."
    return f"What is safe is not encoded again by\n  {_command(index, source, options)}"


def _command(index: str, source: "Source", options: Sequence[str] = ()) -> str:
    command = [PROGRAM, "index", "add", index, source.file]
    command += ["--texts", source.texts] if source.texts is not None else []
    command += ["--keys", source.keys] if source.keys is not None else []
    command += ["--text-column", source.text_column] if source.text_column is not None else []
    command += ["--first-key", str(source.first_key)] if source.first_key is not None else []
    return shlex.join([*command, *options])
