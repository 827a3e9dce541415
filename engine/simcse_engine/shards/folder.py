"""The folder of shards: one writer at a time, and nothing in it but shards of one work."""

import contextlib
import glob
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import OutputError
from ..files.atomic import check_absent
from ..files.locks import POSIX, take
from ..files.refusals import as_output_error
from ..wording import argument
from .plan import Part, Range, is_shard, with_rows
from .settings import Settings
from .shard import AWAY, Shard, shard_file
from .sources import Source

_RESUME = argument("resume", True)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The shards that are there.

    Attributes:
        ranges: by their source's name.
        rows: of each source that has a shard, by its name.
    """

    ranges: Mapping[str, tuple[Range, ...]]
    rows: Mapping[str, int]

    @property
    def count(self) -> int:
        """How many shards."""
        return sum(map(len, self.ranges.values()))

    @property
    def encoded(self) -> int:
        """How many rows they have."""
        return sum(each.stop - each.start for ranges in self.ranges.values() for each in ranges)

    def completing(self, sources: Iterable[Source]) -> list[Source]:
        """The sources, with the rows that their shards know."""
        return [with_rows(source, self.rows.get(source.name, source.rows)) for source in sources]


@contextlib.contextmanager
def writing_into(folder: Path, *, resume: bool) -> Iterator[None]:
    """Hold the folder, which is made, against other writers.

    Raises:
        OutputError: it cannot be made or written; another process writes into it; it is not empty, without ``resume``.
    """
    advice = (_RESUME, " goes on with what was begun there")
    check_absent(folder, replace=resume, advice=advice)
    with contextlib.ExitStack() as held:
        with as_output_error(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # Without locks, as on some network file systems, two writers do all work twice, into the same shards.
            if POSIX:
                handle = os.open(folder, os.O_RDONLY)
                held.callback(os.close, handle)
                _take(handle, folder)
        # Another writer may have come and gone meanwhile.
        check_absent(folder, replace=resume, advice=advice)
        yield


def _take(handle: int, folder: Path) -> None:
    try:
        take(handle)
    except BlockingIOError as error:
        raise OutputError(f"{folder}: another process is writing into it; wait for its end, or end it") from error
    except OSError:  # no lock can be had
        return


def finished_shards(folder: Path, settings: Settings, sources: Iterable[Source]) -> Finished:
    """Read which shards are there.

    Raises:
        OutputError: a file there is no shard, or one of other sources or of other settings.
    """
    by_name = {source.name: source for source in sources}
    ranges: dict[str, list[Range]] = {}
    rows: dict[str, int] = {}
    for path in _files(folder):
        shard = Shard.read(path)
        if path.relative_to(folder).as_posix() != shard.file:
            raise OutputError(
                f"{path}: is a copy, or was renamed; its name was {shard.file}; move it out of this folder"
            )
        difference = settings.difference(shard.settings)
        if difference is not None:
            raise OutputError(f"{path}: ", *difference, "; go on as it was begun, or choose another folder")
        source = by_name.get(shard.name)
        if source is None:
            raise OutputError(f"{path}: is of {shard.name}, which is not among the inputs now; name the same inputs")
        if (source.size, source.mtime_ns) != (shard.size, shard.mtime_ns):
            raise OutputError(
                f"{source.path}: was changed since {path} was encoded of it; remove the shards of this file, and it is "
                "encoded again"
            )
        known = rows.setdefault(shard.name, shard.rows if source.rows is None else source.rows)
        if shard.rows != known or not is_shard(shard.range, known, settings.shard_rows):
            raise OutputError(
                f"{path}: says rows {shard.start} to {shard.stop} of {shard.rows}, which is no shard of {shard.name}; "
                f"{AWAY}"
            )
        ranges.setdefault(shard.name, []).append(shard.range)
    return Finished(ranges={name: tuple(sorted(there)) for name, there in ranges.items()}, rows=rows)


def written(folder: Path, part: Part) -> int:
    """How many of a part's shards are there."""
    if part.ranges is None:
        beside = folder / part.source.name
        return sum(1 for _ in beside.parent.glob(shard_file(glob.escape(beside.name))))
    return sum((folder / shard_file(part.source.name, each.start)).exists() for each in part.ranges)


def _files(folder: Path) -> Iterator[Path]:
    """All that readers of the folder would take for its data, in the order of their names."""
    with as_output_error(folder):
        for place, folders, files in os.walk(folder):
            for name in sorted((*folders, *files)):
                path = Path(place, name)
                if name.startswith((".", "_")):
                    continue
                mode = path.lstat().st_mode
                if stat.S_ISREG(mode):
                    yield path
                elif not stat.S_ISDIR(mode):
                    raise OutputError(
                        f"{path}: is a link, a pipe or a device, and no shard; move it out of this folder"
                    )
            folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
