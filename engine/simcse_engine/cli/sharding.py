"""What `encode` does where its output is a folder: many files into shards, here or on Ray."""

import argparse
import contextlib
import csv
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputValueError, SimCSEError, TruncationWarning
from ..wording import Wording, argument
from .arguments import PROGRAM, count
from .bars import Bar
from .output import counted_cuts, print_report
from .parser import Parser
from .signals import telling_what_is_safe
from .streams import print_message

if TYPE_CHECKING:
    from ..artifact.manifest import Manifest
    from ..shards.cluster import Actors
    from ..shards.folder import Finished
    from ..shards.plan import Part
    from ..shards.worker import Done, Job

_SHARD_ROWS = 100_000
# The options that a folder alone takes, by their place in the arguments, with what they are if they are not given.
_DEFAULTS = {
    **{"keep_columns": None, "shard_rows": None, "resume": False},
    **{"ray": False, "num_actors": None, "cpus_per_actor": None},
}


def add_shard_options(parser: Parser) -> None:
    """Add the options of an output that is a folder."""
    group = parser.add_argument_group("a folder as output")
    group.add_argument(
        "--keep-columns",
        metavar="A,B",
        action="append",
        help="columns of tables that stand beside text and vector; * for all (default: none)",
    )
    group.add_argument(
        "--shard-rows", type=count, metavar="N", help=f"rows of a shard, at most (default: {_SHARD_ROWS:,})"
    )
    group.add_argument(
        "--resume", action="store_true", help="go on with what an interrupted run has begun there, by the same options"
    )
    group.add_argument(
        "--ray",
        action="store_true",
        help="encode on Ray, by paths that every machine has: on RAY_ADDRESS, this machine's cluster, or a new one",
    )
    group.add_argument("--num-actors", type=count, metavar="N", help="workers on Ray, at most (default: all that fit)")
    group.add_argument(
        "--cpus-per-actor",
        type=count,
        metavar="N",
        help="CPUs, and so threads, of each (default: all of a machine, or as many as --num-actors leaves each)",
    )


def check_no_shard_options(args: argparse.Namespace) -> None:
    """Raise InputValueError for an option that only a folder takes."""
    for name, default in _DEFAULTS.items():
        if (value := getattr(args, name)) != default:
            given = ",".join(value) if isinstance(value, list) else value
            raise InputValueError(argument(name, given), " is for a folder of shards; let the output's name end with /")


def encode_into_shards(args: argparse.Namespace, folder: Path) -> None:
    """Run the command."""
    from ..files.arrow import import_pyarrow
    from ..shards.cluster import Actors
    from ..shards.folder import finished_shards, writing_into
    from ..shards.plan import parts_left
    from ..shards.rows import check_columns
    from ..shards.settings import Settings
    from ..shards.sources import find_sources
    from ..shards.worker import Job

    if not args.ray and (args.num_actors is not None or args.cpus_per_actor is not None):
        raise InputValueError("--num-actors and --cpus-per-actor are for --ray")
    import_pyarrow(str(folder))
    artifact, manifest = _artifact(args.artifact)
    settings = Settings.of(
        manifest,
        prompt_name=args.prompt_name,
        prompt=args.prompt,
        max_tokens=args.max_tokens,
        dimensions=args.dimensions,
        dtype=args.dtype,
        text_column=args.text_column,
        keep_columns=tuple(name for names in args.keep_columns or () for name in next(csv.reader([names]))),
        shard_rows=args.shard_rows or _SHARD_ROWS,
    )
    found = find_sources(args.inputs, folder, settings.text_column)
    for link in found.links:
        print_message(f"{PROGRAM}: {link}")
    options = {
        "device": args.device,
        "threads": args.threads,
        "truncate": "error" if args.truncate == "error" else "warn",
        "max_tokens": args.max_tokens,
    }
    # Ray shows a worker only those GPUs that it asks for.
    gpus = 0 if manifest.target == "cpu" or args.device == "cpu" else 1
    actors = Actors(number=args.num_actors, cpus=args.cpus_per_actor, gpus=gpus)
    job = Job(artifact=artifact, options=options, settings=settings, folder=folder.absolute())
    with writing_into(folder, resume=args.resume), counted_cuts(args.truncate) as cuts:
        before = finished_shards(folder, settings, found.sources)
        sources = before.completing(found.sources)
        parts = parts_left(sources, settings.shard_rows, before.ranges)
        check_columns(dict.fromkeys(part.source for part in parts), settings.text_column, settings.keep_columns)
        tally = _Tally(folder, before)
        with tally.saying_how_to_go_on():
            for part, done in _done_on_ray(job, parts, actors) if args.ray else _done_here(job, parts):
                tally.add(part, done)
        tally.warn_of_unseen()
        if tally.cut:
            # One for all shards.
            limit = Wording(f"max_tokens={settings.max_tokens}", f"the limit of {settings.max_tokens}")
            message = f"{tally.cut:,} of {tally.encoded:,} texts were longer than ", limit, " tokens and were cut"
            warnings.warn(TruncationWarning(*message, cut=tally.cut, total=tally.encoded), stacklevel=1)
    report = {
        "output": str(folder),
        "files": len(sources),
        "shards": tally.shards,
        "rows": before.encoded + tally.encoded,
        "encoded": tally.encoded,
        "dimension": settings.dimensions,
        "dtype": settings.dtype,
        "identity": settings.identity,
        "truncated": sum(cuts),
    }
    earlier = f"; {before.encoded:,} of them were there" if before.count else ""
    rows = f"{report['rows']:,} rows of {len(sources):,} files in {tally.shards:,} shards{earlier}"
    print_report(args, report, f"{folder}: {rows}")


class _Tally:
    """What has been done, and what is told of it to whoever interrupts it."""

    def __init__(self, folder: Path, before: "Finished") -> None:
        self._folder = folder
        self.shards = before.count
        self.encoded = self.cut = 0
        self._without: dict[str, list[str]] = {}

    def add(self, part: "Part", done: "Done") -> None:
        """Count a part."""
        for name in done.unseen:
            self._without.setdefault(name, []).append(part.source.path)
        self.shards += done.shards
        self.encoded += done.rows
        self.cut += done.cut

    def warn_of_unseen(self) -> None:
        """Name the kept fields that whole files lack: one of them may be mistyped."""
        for name, paths in self._without.items():
            more = f" and of {len(paths) - 1:,} more files" if len(paths) > 1 else ""
            print_message(f'{PROGRAM}: warning: no line of {paths[0]}{more} has "{name}"; it is null in the shards')

    @contextlib.contextmanager
    def saying_how_to_go_on(self) -> Iterator[None]:
        """Say, where a signal or an error ends the block, how to go on."""
        with telling_what_is_safe(PROGRAM, self._safe):
            try:
                yield
            except SimCSEError:
                if self.shards:
                    print_message(f"{PROGRAM}: failed; {self._safe()}")
                raise

    def _safe(self) -> str:
        return f"what {self._folder} holds is whole; the same command with --resume goes on"


def _artifact(name: str) -> "tuple[str, Manifest]":
    """An artifact as its workers name it, wherever they run, and its manifest."""
    from ..artifact.hub import hub_id_of, locate
    from ..artifact.manifest import Manifest
    from ..artifact.opening import as_artifact_error

    hub_id, folder = hub_id_of(name), locate(name).absolute()
    with as_artifact_error(folder):
        manifest = Manifest.read(folder)
    return name if hub_id is not None else str(folder), manifest


def _done_here(job: "Job", parts: "list[Part]") -> "Iterator[tuple[Part, Done]]":
    from ..shards.worker import Worker

    if not parts:
        return
    with Worker(job) as worker, _bar(parts) as advance:
        for part in parts:
            done = worker.run(part, advance)
            advance(0, part)
            yield part, done


def _done_on_ray(job: "Job", parts: "list[Part]", actors: "Actors") -> "Iterator[tuple[Part, Done]]":
    from ..shards.cluster import connected, run_parts

    if not parts:
        return
    with connected() as ray, _bar(parts) as advance:
        for part, done in run_parts(ray, job, parts, actors):
            advance(done.rows, part)
            yield part, done


@contextlib.contextmanager
def _bar(parts: "list[Part]") -> "Iterator[Callable[..., None]]":
    """A bar of all parts' texts; what it yields takes how many more are done, and a part that is done with them.

    How many they are is known once all files are counted; until then, by the share of their bytes that is done.
    """
    from ..files.reading import Reading

    known = all(part.ranges is not None for part in parts)
    bar = Bar("texts", sum(part.rows for part in parts) if known else None)
    read, read_bytes = 0, 0
    share: Reading[None] = Reading(iter(()), sum(part.bytes for part in parts), lambda: read_bytes)

    def advance(texts: int, part: "Part | None" = None) -> None:
        nonlocal read, read_bytes
        read += texts
        read_bytes += 0 if part is None else part.bytes
        bar.advance_texts(texts, None if known or part is None else share, read)

    with contextlib.closing(bar):
        yield advance
