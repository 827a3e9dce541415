"""Compressed files, read as what they hold: gzip, and zstd where Python or the package zstandard has it."""

import contextlib
import io
import zlib
from pathlib import Path
from typing import Any, cast

from ..errors import InputValueError

GZIP, ZSTD = ".gz", ".zst"
# Compressed bytes that are read at once, and those that zstandard is given, as it returns all that they hold: 32 MB at
# the very most.
_READ_BYTES, _GIVEN_BYTES = 1 << 16, 1 << 10


def content_name(path: Path) -> Path:
    """The name of a file without the suffix of its compression.

    >>> content_name(Path("talks.jsonl.gz")).suffix
    '.jsonl'
    """
    return path.with_suffix("") if path.suffix.lower() in (GZIP, ZSTD) else path


def decompressed(file: io.RawIOBase, path: Path) -> io.RawIOBase | None:
    """What a file holds whose name says that it is compressed; None if it does not say so.

    Raises:
        InputValueError: it is compressed with zstd, and nothing here can read that. Later, as it is read: the file is
            damaged, cut short, or not compressed so.
    """
    suffix = path.suffix.lower()
    if suffix == GZIP:
        import gzip

        return _Content(gzip.GzipFile(fileobj=file), path, "gzip", (gzip.BadGzipFile, zlib.error, EOFError))
    if suffix == ZSTD:
        return _zstd(file, path)
    return None


def _zstd(file: io.RawIOBase, path: Path) -> io.RawIOBase:
    with contextlib.suppress(ImportError):  # Python has it from 3.14 on
        from compression import zstd

        return _Content(zstd.ZstdFile(file), path, "zstd", (zstd.ZstdError, EOFError))
    try:
        import zstandard
    except ImportError as error:
        raise InputValueError(
            f"{path}: is compressed with zstd, which needs zstandard ({error}); pip install 'simcse-engine[zstd]', or "
            "decompress it (unzstd)"
        ) from error
    return _Content(_Frames(file, zstandard), path, "zstd", (zstandard.ZstdError, EOFError))


class _Content(io.RawIOBase):
    """What a compressed file holds; whatever is wrong with the file is an error of ours."""

    def __init__(self, source: Any, path: Path, method: str, errors: tuple[type[Exception], ...]) -> None:
        self._source = source
        self._path = path
        self._method = method
        self._errors = errors

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return cast(int, self._source.readinto(buffer))
        except self._errors as error:
            raise InputValueError(f"{self._path}: is not {self._method}, or damaged or cut short ({error})") from error


class _Frames(io.RawIOBase):
    """zstandard's own reader takes a file that was cut short for a whole one."""

    def __init__(self, file: io.RawIOBase, zstandard: Any) -> None:
        self._file = file
        self._zstandard = zstandard
        self._frame: Any = None
        self._compressed = b""
        self._content = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._content:
            self._compressed = self._compressed or self._file.read(_READ_BYTES) or b""
            if not self._compressed:
                if self._frame is not None:
                    raise EOFError("its last frame has no end")
                return 0
            if self._frame is None:
                self._frame = self._zstandard.ZstdDecompressor().decompressobj()
            given, self._compressed = self._compressed[:_GIVEN_BYTES], self._compressed[_GIVEN_BYTES:]
            self._content = memoryview(self._frame.decompress(given))
            if self._frame.eof:
                self._compressed, self._frame = self._frame.unused_data + self._compressed, None
        count = min(len(buffer), len(self._content))
        buffer[:count] = self._content[:count]
        self._content = self._content[count:]
        return count
