"""A shard's file: rows of one source as Parquet, with where they come from in its name and its schema's metadata."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from ..errors import InputValueError, OutputError
from ..files.arrow import PARQUET, grouped_parquet, import_pyarrow, vector_column, vector_type
from ..files.atomic import whole_file
from ..files.columns import VECTOR
from ..files.vectors import VectorFacts
from .plan import Range
from .settings import Settings
from .sources import Source

# In a schema's metadata: a `Shard` as JSON.
SHARD = b"simcse_engine.shard"
# So many digits sort as their numbers do.
_DIGITS = 12

# Appends rows, as `Rows.take` returns them, and their vectors.
Write = Callable[[Any, NDArray[Any]], None]


@dataclass(frozen=True, kw_only=True)
class Shard:
    """What a shard's metadata states.

    Attributes:
        name: its source's.
        size, mtime_ns, rows: its source's, as they were when it was read.
        start, stop: which of the source's rows it holds.
        settings: how they were encoded, as `Settings.to_json` has it.
    """

    name: str
    size: int
    mtime_ns: int
    rows: int
    start: int
    stop: int
    settings: dict[str, Any]

    @classmethod
    def of(cls, source: Source, rows: int, held: Range, settings: Settings) -> Self:
        """The shard of some rows of a source."""
        return cls(
            name=source.name,
            size=source.size,
            mtime_ns=source.mtime_ns,
            rows=rows,
            start=held.start,
            stop=held.stop,
            settings=settings.to_json(),
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """What a shard says of itself; OutputError for what is no whole shard."""
        arrow, parquet = import_pyarrow(str(path))
        try:
            with path.open("rb") as file:
                table = parquet.ParquetFile(file)
                stated = json.loads((table.schema_arrow.metadata or {})[SHARD])
                source = stated["input"]
                shard = cls(
                    name=source["path"],
                    **{name: int(source[name]) for name in ("size", "mtime_ns", "rows")},
                    start=int(stated["start"]),
                    stop=int(stated["stop"]),
                    settings=dict(stated["settings"]),
                )
                rows = table.metadata.num_rows
        # What JSON can be made to hold: depths, infinities.
        except (arrow.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise OutputError(
                f"{path}: is no shard that can be read ({error or type(error).__name__}); {AWAY}"
            ) from error
        if rows != shard.stop - shard.start:
            raise OutputError(f"{path}: has {rows} rows for rows {shard.start} to {shard.stop}; {AWAY}")
        return shard

    @property
    def file(self) -> str:
        """Its file's name in the folder, which sorts as the rows do."""
        return shard_file(self.name, self.start)

    @property
    def range(self) -> Range:
        """Which of the source's rows it holds."""
        return Range(self.start, self.stop)

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """What its schema says."""
        source = {"path": self.name, "size": self.size, "mtime_ns": self.mtime_ns, "rows": self.rows}
        stated = {"input": source, "start": self.start, "stop": self.stop, "settings": self.settings}
        return {SHARD: json.dumps(stated).encode()}


AWAY = "move it out of this folder, and what belongs there is encoded again"


def shard_file(name: str, start: int | None = None) -> str:
    """The file, from its folder on, of the shard from this row of a source on; None for a pattern for any row."""
    return f"{name}-{'[0-9]' * _DIGITS if start is None else f'{start:0{_DIGITS}}'}{PARQUET}"


@contextlib.contextmanager
def create_shard(target: Path, shard: Shard, facts: VectorFacts, schema: Any) -> Iterator[Write]:
    """Yield a function that appends rows to a shard, which becomes ``target`` when the block ends without an error.

    Args:
        target: in a folder that exists.
        shard: what it states.
        facts: what its vectors are.
        schema: of the rows, to which the vectors are added.
    """
    arrow, _ = import_pyarrow()
    vector = arrow.field(VECTOR, vector_type(facts.columns, facts.numpy), nullable=False)
    schema = schema.append(vector).with_metadata({**facts.metadata, **shard.metadata})
    with whole_file(target) as path, path.open("wb") as file:
        try:
            with grouped_parquet(file, schema) as append:
                yield lambda rows, vectors: append(arrow.table([*rows.columns, vector_column(vectors)], schema=schema))
        except (arrow.ArrowNotImplementedError, arrow.ArrowTypeError) as error:
            raise InputValueError(
                f"{shard.name}: a column to keep has a type that Parquet cannot hold ({error})"
            ) from error
