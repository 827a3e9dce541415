"""Ray Data: a class for `map_batches` that adds vectors to a data set's texts."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..encoder import Encoder
from ..errors import InputTypeError
from ..files.arrow import import_pyarrow, vector_column
from ..files.columns import TEXT, VECTOR, check_column
from ..forms import DType
from ..inputs import Truncate


class Embed:
    """Adds a column of vectors to each batch; an actor opens the artifact once.

    >>> ray.data.read_parquet("/shared/texts").map_batches(
    ...     Embed,
    ...     fn_constructor_kwargs={"artifact": "/shared/minilm"},
    ...     batch_format="pyarrow",
    ...     batch_size=4096,
    ...     compute=ray.data.ActorPoolStrategy(size=2),
    ...     num_cpus=4,  # and so threads, of each actor
    ... ).write_parquet("/shared/vectors")
    """

    def __init__(
        self,
        artifact: str | os.PathLike[str],
        *,
        text_column: str = TEXT,
        vector_column: str = VECTOR,
        prompt_name: str | None = None,
        prompt: str | None = None,
        dimensions: int | None = None,
        dtype: DType = "float32",
        device: str | None = None,
        threads: int | None = None,
        truncate: Truncate = "warn",
        max_tokens: int | None = None,
    ) -> None:
        """Open the artifact.

        Args:
            artifact: a folder that every machine sees under this path, or a hub id.
            text_column: where the texts stand.
            vector_column: where their vectors go; a column that is there is replaced.
            prompt_name: as for `Encoder.encode`, like the other four of vectors.
            prompt: what to put before each text.
            dimensions: how many of each vector's numbers to keep.
            dtype: their type.
            device: as for `Encoder`, like the following.
            threads: None for as many as Ray gives the actor by ``num_cpus``, through OMP_NUM_THREADS.
            truncate: what to do with texts longer than ``max_tokens``.
            max_tokens: a lower limit than the artifact's.

        Raises:
            SimCSEError: as `Encoder` does.
        """
        self._columns = text_column, vector_column
        self._form: dict[str, Any] = {"prompt_name": prompt_name, "prompt": prompt}
        self._form |= {"dimensions": dimensions, "dtype": dtype}
        options: dict[str, Any] = {"device": device, "threads": threads, "truncate": truncate, "max_tokens": max_tokens}
        # One call at a time, of many texts, packs the weights once.
        self._encoder = Encoder(artifact, optimize_for="throughput", **options)

    def __call__(self, batch: Any) -> Any:
        """Add the vectors of a batch's texts.

        Args:
            batch: of ``batch_format="pyarrow"``, a table; or "numpy", a dict of arrays.

        Returns:
            The same, with a column more: lists of fixed size, or an array [n, numbers].

        Raises:
            InputTypeError: the batch is of another format, or a text is null.
            InputValueError: no such column.
        """
        text, vector = self._columns
        if isinstance(batch, dict):
            check_column(text, batch, "the batch")
            return {**batch, vector: self._encode(list(batch[text]))}
        arrow, _ = import_pyarrow("a batch")
        if not isinstance(batch, arrow.Table):
            raise InputTypeError(f"a batch is {type(batch).__name__}; pass batch_format='pyarrow' or 'numpy'")
        check_column(text, batch.column_names, "the batch")
        vectors = vector_column(self._encode(batch.column(text).to_pylist()))
        if vector in batch.column_names:
            return batch.set_column(batch.column_names.index(vector), vector, vectors)
        return batch.append_column(vector, vectors)

    def _encode(self, texts: Sequence[str]) -> NDArray[np.generic]:
        return self._encoder.encode(texts, **self._form)
