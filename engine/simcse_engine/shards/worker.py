"""A worker: encodes one part after the other, shard by shard. It needs nothing but the plan and files to do so."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from ..cuts import counting_cuts
from ..encoder import Encoder
from ..errors import InputValueError, IntegrityError, TruncationError
from ..files.arrow import import_pyarrow
from ..files.columns import TEXT
from ..files.refusals import as_output_error
from ..forms import VectorForm
from .plan import Part, ranges_of
from .rows import Rows, count_rows, open_rows
from .settings import Settings
from .shard import Shard, create_shard
from .sources import Source


@dataclass(frozen=True, kw_only=True)
class Job:
    """What all workers share; it can be pickled.

    Attributes:
        artifact: a path that every worker sees, or a hub id.
        options: of the `Encoder`.
        settings: how rows are encoded.
        folder: where the shards go, absolute.
    """

    artifact: str
    options: dict[str, Any]
    settings: Settings
    folder: Path


class Done(NamedTuple):
    """What a part has come to.

    Attributes:
        shards: how many it has.
        rows: of them all.
        cut: how many texts its last attempt has cut.
        unseen: the kept fields that its source has nowhere, so that they are null in its shards.
    """

    shards: int
    rows: int
    cut: int
    unseen: tuple[str, ...] = ()


class Progress(Protocol):
    """What is called whenever more is done."""

    def __call__(self, rows: int, part: Part | None = None, /) -> Any:
        """So many more rows are done, and a part is with them."""


class Worker:
    """Does the parts of a job with one encoder, which is to be closed."""

    def __init__(self, job: Job) -> None:
        """Open the encoder; IntegrityError if the artifact here is another than the job's."""
        self._job = job
        # It only streams, so it packs the weights for nothing else.
        self._encoder = Encoder(job.artifact, **job.options, optimize_for="throughput")
        manifest, settings = self._encoder.manifest, job.settings
        if manifest.identity != settings.identity:
            self.close()
            raise IntegrityError(f"{job.artifact}: is another artifact here than where the work was begun")
        self._form = VectorForm.of(manifest, settings.dimensions, settings.dtype)

    def run(self, part: Part, progress: Progress | None = None) -> Done:
        """Write a part's shards; ``progress`` is called with a number of rows whenever so many more are done.

        A shard that is there, from an attempt that was ended, stays.

        Raises:
            InputValueError: the source cannot be read, or has changed; the shards before stay.
            OutputError: a shard cannot be written.
        """
        source, settings = part.source, self._job.settings
        rows, ranges = source.rows, part.ranges
        unseen: tuple[str, ...] = ()
        if rows is None or ranges is None:
            rows, unseen = count_rows(source, settings.text_column, settings.keep_columns)
            ranges = tuple(ranges_of(rows, settings.shard_rows))
        with (
            counting_cuts() as cuts,
            open_rows(source, settings.text_column, settings.keep_columns, ranges[0].start) as reader,
        ):
            position = ranges[0].start
            for each in ranges:
                shard = Shard.of(source, rows, each, settings)
                target = self._job.folder / shard.file
                if target.exists():
                    continue
                reader.skip(each.start - position)
                self._write(source, shard, target, reader, progress)
                position = each.stop
        return Done(len(ranges), sum(each.stop - each.start for each in ranges), sum(cuts), unseen)

    def run_all(self, parts: Sequence[Part], progress: Progress) -> Iterator[tuple[Part, Done]]:
        """Do one part after the other, each as `run` does; it is yielded when it is done."""
        for part in parts:
            done = self.run(part, progress)
            progress(0, part)
            yield part, done

    def _write(self, source: Source, shard: Shard, target: Path, reader: Rows, progress: Progress | None) -> None:
        arrow, _ = import_pyarrow()
        settings, count = self._job.settings, shard.stop - shard.start
        # What the encoder has read ahead of its vectors.
        ahead: deque[Any] = deque()

        def texts() -> Iterator[str]:
            left = count
            while left and (rows := reader.take(left)) is not None:
                left -= rows.num_rows
                ahead.append(rows)
                yield from rows.column(TEXT).to_pylist()

        def rows_of(number: int) -> Any:
            tables = []
            while number:
                rows = ahead.popleft()
                tables.append(rows.slice(0, number))
                if rows.num_rows > number:
                    ahead.appendleft(rows.slice(number))
                number -= tables[-1].num_rows
            return arrow.concat_tables(tables).combine_chunks()

        written = 0
        facts = self._form.facts(settings.identity, settings.prompt)
        with as_output_error(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        with create_shard(target, shard, facts, reader.schema) as write:
            try:
                for vectors in self._encoder.stream(
                    texts(),
                    prompt=settings.prompt,
                    dimensions=settings.dimensions,
                    dtype=settings.dtype,
                    progress=progress,
                ):
                    write(rows_of(len(vectors)), vectors)
                    written += len(vectors)
                    # Not held while the next are computed.
                    del vectors
            except TruncationError as error:
                where = f"{source.path}, of rows {shard.start + 1:,} to {shard.stop:,}: "
                raise TruncationError(where, *error.args) from error
            source.check_unchanged()
            if written < count:
                raise InputValueError(f"{source.path}: has fewer rows than it says, {shard.start + written:,}")

    def close(self) -> None:
        """Close the encoder."""
        self._encoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
