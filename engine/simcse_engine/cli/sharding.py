"""What `encode` does where its output is a folder: many files into shards, here or on Ray."""

import argparse
import contextlib
import csv
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputValueError, SimCSEError, TruncationWarning
from ..wording import Wording
from .arguments import PROGRAM
from .bars import bar_of_parts
from .output import counted_cuts, print_report
from .shard_options import SHARD_ROWS
from .signals import telling_what_is_safe
from .streams import print_message

if TYPE_CHECKING:
    from ..artifact.manifest import Manifest
    from ..shards.folder import Finished
    from ..shards.plan import Part
    from ..shards.worker import Done


def encode_into_shards(args: argparse.Namespace, folder: Path) -> None:
    """Run the command."""
    from ..files.arrow import import_pyarrow
    from ..shards.cluster import Actors, connected
    from ..shards.folder import finished_shards, writing_into
    from ..shards.plan import parts_left
    from ..shards.rows import check_columns
    from ..shards.settings import Settings
    from ..shards.sources import find_sources
    from ..shards.worker import Job, Worker

    if not args.ray and (args.num_actors is not None or args.cpus_per_actor is not None):
        raise InputValueError("--num-actors and --cpus-per-actor are for --ray")
    if args.ray and args.devices is not None:
        raise InputValueError("--devices is for this machine; Ray gives each worker a GPU of its own (--num-actors)")
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
        shard_rows=args.shard_rows or SHARD_ROWS,
    )
    found = find_sources(args.inputs, folder, settings.text_column)
    for link in found.links:
        print_message(f"{PROGRAM}: {link}")
    options = {
        "device": args.device,
        "devices": args.devices,
        "threads": args.threads,
        "truncate": "error" if args.truncate == "error" else "warn",
        "max_tokens": args.max_tokens,
    }
    actors = Actors.of(manifest, args.device, number=args.num_actors, cpus=args.cpus_per_actor)
    job = Job(artifact=artifact, options=options, settings=settings, folder=folder.absolute())
    with writing_into(folder, resume=args.resume), counted_cuts(args.truncate) as cuts:
        before = finished_shards(folder, settings, found.sources)
        sources = before.completing(found.sources)
        parts = parts_left(sources, settings.shard_rows, before.ranges)
        check_columns(dict.fromkeys(part.source for part in parts), settings.text_column, settings.keep_columns)
        tally = _Tally(folder, before)
        # Nothing is opened where nothing is left to do.
        if parts:
            with (
                tally.saying_how_to_go_on(),
                connected(job, actors) if args.ray else Worker(job) as workers,
                bar_of_parts(parts) as progress,
            ):
                for part, done in workers.run_all(parts, progress):
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
