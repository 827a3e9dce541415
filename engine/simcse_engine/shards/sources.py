"""Sources: the files to encode, found by their names, by folders and by patterns, in an order that does not change."""

import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputValueError
from ..files.arrow import PARQUET
from ..files.columnar import check_strings, open_columnar
from ..files.columns import check_column
from ..files.opening import STDIN, open_whole, suffix_of
from ..files.refusals import unreadable
from ..files.tables import TABLES, WHOLE

_TEXT = ".txt"
# Whoever reads a folder of Parquet (Spark, pyarrow, Ray) takes files and folders of such names for none of its data.
_UNSEEN = (".", "_")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file to encode, as it was when it was found.

    Attributes:
        path: where it is, absolute.
        name: its path from the folder that all sources have in common, with slashes.
        size: its bytes.
        mtime_ns: when it was last written.
        rows: how many it has; None where nobody knows before it is read.
    """

    path: str
    name: str
    size: int
    mtime_ns: int
    rows: int | None = None

    def check_unchanged(self) -> None:
        """Raise InputValueError if the file is no longer the one that was found."""
        status = _status(Path(self.path))
        if (status.st_size, status.st_mtime_ns) != (self.size, self.mtime_ns):
            raise InputValueError(f"{self.path}: was changed while it was read; begin again, in another folder")


@dataclass(frozen=True, kw_only=True)
class Found:
    """The sources, in the order of their names, and links to others of them, which are not encoded again."""

    sources: tuple[Source, ...]
    links: tuple[str, ...]


def find_sources(inputs: Sequence[str], output: Path, text_column: str) -> Found:
    """Find the files to encode.

    Args:
        inputs: files; folders, for what lies in them and in their folders; patterns, with `**` for any folders. A file
            that is named in several ways is found once.
        output: the folder of the shards, which are no sources.
        text_column: the column of the texts in Parquet files, which are looked at.

    Raises:
        InputValueError: there is no such file, or one that cannot be read; a folder holds files of unknown kinds, or
            the output.
    """
    if not inputs:
        raise InputValueError("name what to encode: files, folders or patterns")
    paths: dict[str, None] = {}
    bases = []
    for each in inputs:
        base, found = _found(each, output)
        bases.append(base)
        paths.update(dict.fromkeys(found))
    root = os.path.commonpath(bases)
    names = {Path(os.path.relpath(path, root)).as_posix(): path for path in paths}
    sources: dict[str, Source] = {}
    links = []
    for name in sorted(names):
        path = names[name]
        if any(part.startswith(_UNSEEN) for part in name.split("/")):
            raise InputValueError(f"{path}: readers of Parquet take no file of such a name; let none begin with . or _")
        real = os.path.realpath(path)
        if real in sources:
            links.append(f"{path}: is {sources[real].path}, which is encoded once")
            continue
        if Path(real).is_relative_to(output.resolve()):
            raise InputValueError(f"{path}: lies in {output}, where the vectors are to be written")
        status = _status(Path(path))
        if not stat.S_ISREG(status.st_mode):
            raise InputValueError(f"{path}: is a pipe or a device, which cannot be read again; name a file")
        source = Source(path=path, name=name, size=status.st_size, mtime_ns=status.st_mtime_ns)
        sources[real] = replace(source, rows=_rows_of(source, text_column))
    return Found(sources=tuple(sources.values()), links=tuple(links))


def _found(each: str, output: Path) -> tuple[str, list[str]]:
    """The folder that names count from, and the files that an input stands for."""
    if each == STDIN:
        raise InputValueError("stdin cannot be read again; name files, or write the vectors into one file")
    path = os.path.abspath(each)  # noqa: PTH100  (Path.absolute leaves .. in)
    if Path(path).is_dir():
        return path, list(_walked(path, output))
    if os.path.lexists(path) or not glob.has_magic(each):
        _status(Path(path))
        return os.path.dirname(path), [path]  # noqa: PTH120
    # Not of `path`: a folder above may have a name like a pattern.
    matches = sorted(map(os.path.abspath, glob.glob(each, recursive=True)))  # noqa: PTH207
    files = [match for match in matches if not Path(match).is_dir()]
    if "**" not in each:
        files += [file for match in matches if Path(match).is_dir() for file in _walked(match, output)]
    if not files:
        raise InputValueError(f"{each}: no file is named so")
    parts = Path(each).parts
    above = Path(*parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
    return os.path.abspath(above), files  # noqa: PTH100


def _walked(folder: str, output: Path) -> Iterator[str]:
    """The files in a folder and its folders, those that links lead to too, each folder once."""
    if output.resolve().is_relative_to(Path(folder).resolve()):
        raise InputValueError(f"{output}: lies in {folder}, which is read; write into a folder outside of it")
    seen = {os.path.realpath(folder)}

    def refuse(error: OSError) -> None:
        raise unreadable(Path(error.filename), error, InputValueError) from error

    found = False
    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = [name for name in _seen_names(folders) if _add(seen, os.path.realpath(Path(place, name)))]
        for name in _seen_names(files):
            if suffix_of(name) not in (_TEXT, *TABLES):
                raise InputValueError(
                    f"{Path(place, name)}: is no {_TEXT}, {', '.join(TABLES)}; name what to read by a pattern, such as "
                    f"'{folder}/**/*.txt'"
                )
            found = True
            yield str(Path(place, name))
    if not found:
        raise InputValueError(f"{folder}: holds no file of texts")


def _seen_names(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith(_UNSEEN))


def _add(seen: set[str], name: str) -> bool:
    new = name not in seen
    seen.add(name)
    return new


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError as error:
        raise InputValueError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise InputValueError(f"{str(path)!r:.200}: cannot be read ({error})") from error


def _rows_of(source: Source, text_column: str) -> int | None:
    """The rows that a file itself counts."""
    suffix = suffix_of(source.path)
    if suffix != PARQUET:
        return None
    with open_whole(Path(source.path), WHOLE[suffix]) as file:
        table = open_columnar(file, source.path, suffix)
        check_column(text_column, table.columns, table.name)
        check_strings(table, text_column)
        return table.rows
