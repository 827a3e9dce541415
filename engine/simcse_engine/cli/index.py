"""The commands `index …`: make an index, fill it from files, and look after it."""

import argparse
import itertools
import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files.texts import STDIN
from .arguments import PROGRAM, Commands
from .arguments_index import add_index
from .output import counted_cuts, print_json

if TYPE_CHECKING:
    from ..files.new_entries import NewEntry
    from ..index import Index
    from ..index.writer import Progress

# So many texts are held at once; the index commits smaller portions.
_CHUNK_TEXTS = 65_536


def add_parser(commands: Commands) -> None:
    """Declare the commands."""
    index = commands.add_parser(
        "index", help="make, fill and look after a search index", description="A search index.", allow_abbrev=False
    )
    index.set_defaults(run=run)
    add_index(index)


def run(args: argparse.Namespace) -> int:
    """Run one of the commands; the exit code."""
    return _COMMANDS[args.index_command](args)


def _create(args: argparse.Namespace) -> int:
    from ..index import Index

    if args.file is not None:
        _check_file(args)
    _refuse_index(args)
    with Index.create(args.index, args.artifact, dtype=args.dtype) as index:
        if args.file is not None:
            # Of a new index, keys are the lines' numbers from 0 on: known beforehand, so that the work can go on.
            return _fill(index, args, first_key=0)
        identity = index.about.identity
    _say(args, {"index": args.index, "entries": 0, "identity": identity}, f"{args.index}: made; it is empty")
    return 0


def _add(args: argparse.Namespace) -> int:
    from ..index import Index

    _check_file(args)
    with Index.open(args.index, artifact=args.artifact, same_model=args.same_model) as index:
        return _fill(index, args, first_key=args.first_key)


def _refuse_index(args: argparse.Namespace) -> None:
    """Refuse to make an index where one is, such as what a killed `index create` had filled so far."""
    from ..errors import OutputError
    from ..files.new_entries import has_vectors
    from ..index.storage.store import DATABASE

    if not Path(args.index, DATABASE).exists():
        return
    if args.file is None:
        raise OutputError(f"{args.index}: is an index already; `{PROGRAM} index add` adds to it")
    # A file of vectors may have keys or not.
    unknown = args.texts is None and has_vectors(args.file)
    said = _go_on(args, own_keys=args.keys is not None, first_key=None if unknown else 0)
    raise OutputError(f"{args.index}: is an index already. {said}")


def _check_file(args: argparse.Namespace) -> None:
    """Refuse what cannot be read before an index is made for it."""
    from ..errors import InputValueError
    from ..files.new_entries import has_vectors

    npy = args.file.lower().endswith(".npy")
    if npy != (args.texts is not None):
        raise InputValueError(f"{args.file}: " + ("give its texts with --texts FILE" if npy else "--texts is for .npy"))
    if args.keys is not None and not npy:
        raise InputValueError(f"{args.file}: --keys is for .npy; other files bring their keys themselves")
    if args.keys is not None and getattr(args, "first_key", None) is not None:
        raise InputValueError("--keys and --first-key exclude each other")
    for name in (args.file, args.texts, args.keys):
        if name not in (None, STDIN) and not Path(name).exists():
            raise InputValueError(f"{name}: no such file")
    if getattr(args, "first_key", None) is not None and not npy and has_vectors(args.file):
        raise InputValueError(f"{args.file}: brings its keys, if any, itself; leave --first-key out")


def _fill(index: "Index", args: argparse.Namespace, *, first_key: int | None) -> int:
    from tqdm import tqdm

    from ..files.new_entries import has_vectors, open_entries

    filling = _Filling(index, first_key)
    # disable=None: no bar where stderr is no terminal.
    with counted_cuts() as cuts, tqdm(unit=" texts", disable=None) as bar:

        def progress(count: int) -> None:
            filling.safe += count
            bar.update(count)

        try:
            if has_vectors(args.file):
                filling.add_from(args.file, args.texts, args.keys, progress)
            else:
                with open_entries(args.file) as entries:
                    while chunk := list(itertools.islice(entries, _CHUNK_TEXTS)):
                        filling.add(chunk, progress)
        except KeyboardInterrupt:
            bar.close()
            said = _go_on(args, own_keys=filling.own_keys, first_key=filling.first_key)
            print(f"{PROGRAM}: interrupted; {filling.safe:,} texts are safe. {said}", file=sys.stderr)
            raise
    entries_now = len(index)
    _say(
        args,
        {"index": args.index, "added": filling.safe, "entries": entries_now, "truncated": sum(cuts)},
        f"{args.index}: {filling.safe:,} texts added; it has {entries_now:,}",
    )
    return 0


class _Filling:
    """Adds what a file holds, and knows what of it is safe and under which keys."""

    def __init__(self, index: "Index", first_key: int | None) -> None:
        self._index = index
        self.first_key = first_key
        self.own_keys = False
        self.safe = 0
        self._done = 0

    def add(self, chunk: "list[NewEntry]", progress: "Progress") -> None:
        """Add entries without vectors."""
        from ..errors import InputValueError

        with_key = sum(entry.key is not None for entry in chunk)
        if with_key not in (0, len(chunk)) or (self._done and self.own_keys != bool(with_key)):
            raise InputValueError('some lines have a "key" and some have none; give all of them one, or none')
        self.own_keys = bool(with_key)
        if self.own_keys and self.first_key not in (None, 0):
            raise InputValueError("the file has keys of its own; leave --first-key out")
        if not self.own_keys and self.first_key is None:
            # The first text alone, so that the index says which key is free. From there on keys are given, and
            # after an interruption it is known under which key each line stands.
            first = chunk[0]
            self.first_key = self._index.add([first.text], metadata=[first.metadata], progress=progress)[0]
            self._done, chunk = 1, chunk[1:]
        start = (self.first_key or 0) + self._done
        keys = [start + i if entry.key is None else entry.key for i, entry in enumerate(chunk)]
        self._index.add(
            [entry.text for entry in chunk],
            keys=keys,
            metadata=[entry.metadata for entry in chunk],
            progress=progress,
        )
        self._done += len(chunk)

    def add_from(self, file: str, texts: str | None, keys: str | None, progress: "Progress") -> None:
        """Add a file of vectors; ``texts`` and ``keys`` are the files of an `.npy` file's texts and keys."""
        from ..files.new_entries import read_keys
        from ..files.texts import open_texts

        if texts is None:
            # Whether it has keys, and which, it knows itself.
            self.first_key = None
            self._index.add_from(file, progress=progress)
            return
        with open_texts(texts) as lines:
            given = list(lines)
        self.own_keys = keys is not None
        if keys is not None:
            numbers: Iterable[int] | None = read_keys(keys)
        else:
            numbers = None if self.first_key is None else range(self.first_key, self.first_key + len(given))
        self._index.add_from(file, texts=given, keys=numbers, progress=progress)


def _go_on(args: argparse.Namespace, *, own_keys: bool, first_key: int | None) -> str:
    """With which command an addition that was cut short goes on."""
    if not own_keys and first_key is None:
        return "Added again, entries with keys replace themselves, and others are added twice."
    command = [PROGRAM, "index", "add", args.index, args.file]
    command += ["--texts", args.texts] if args.texts is not None else []
    command += ["--keys", args.keys] if args.keys is not None else []
    command += [] if own_keys else ["--first-key", str(first_key)]
    command += ["--artifact", args.artifact] if args.index_command == "add" and args.artifact is not None else []
    command += ["--same-model"] if args.index_command == "add" and args.same_model else []
    return f"What is safe is not encoded again by\n  {shlex.join(command)}"


def _remove(args: argparse.Namespace) -> int:
    from ..index import Index

    with Index.open(args.index) as index:
        removed = index.remove(args.keys)
        left = len(index)
    _say(args, {"index": args.index, "removed": removed, "entries": left}, f"{removed:,} removed; {left:,} are left")
    return 0


def _info(args: argparse.Namespace) -> int:
    from ..index import Index

    with Index.open(args.index, read_only=True) as index:
        info = index.info()
    about = asdict(info.about)
    if args.json:
        counts = {"entries": info.entries, "dead": info.dead, "in_graph": info.in_graph, "size_bytes": info.size_bytes}
        print_json({"index": args.index, **counts, **about})
        return 0
    facts = {
        "entries": f"{info.entries:,}",
        "removed": f"{info.dead:,} (index compact gives their room back)" if info.dead else "0",
        "in the graph": f"{info.in_graph:,}",
        "artifact": info.about.artifact,
        "vectors": f"{info.about.dimension} floats; {info.about.dtype} in the graph",
        "max tokens": str(info.about.max_tokens),
        "identity": info.about.identity,
        "model": info.about.model,
        "size": f"{info.size_bytes / 1e6:,.1f} MB",
    }
    print("\n".join([args.index, *(f"  {name:<13} {value}" for name, value in facts.items())]))
    return 0


def _compact(args: argparse.Namespace) -> int:
    from ..index import Index

    with Index.open(args.index) as index:
        before = index.info().size_bytes
        index.compact()
        info = index.info()
    _say(
        args,
        {"index": args.index, "entries": info.entries, "size_bytes_before": before, "size_bytes": info.size_bytes},
        f"{args.index}: {before / 1e6:,.1f} MB before, {info.size_bytes / 1e6:,.1f} MB now",
    )
    return 0


def _export(args: argparse.Namespace) -> int:
    from ..index import Index

    with Index.open(args.index, read_only=True) as index:
        entries = index.export(args.output)
    _say(args, {"output": args.output, "entries": entries}, f"{args.output}: {entries:,} entries")
    return 0


def _say(args: argparse.Namespace, report: dict[str, Any], line: str) -> None:
    """What came of it: the report as JSON on stdout if that was asked for, else a line on stderr."""
    if args.json:
        print_json(report)
    else:
        print(line, file=sys.stderr)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "create": _create,
    "add": _add,
    "remove": _remove,
    "info": _info,
    "compact": _compact,
    "export": _export,
}
