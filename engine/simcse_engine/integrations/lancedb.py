"""LanceDB: an artifact as the embedding function "simcse" of its tables."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .encoders import Embedder
from .frameworks import framework

with framework("lancedb"):
    from lancedb.embeddings import TextEmbeddingFunction, register


@register("simcse")
class SimCSEEmbeddingFunction(TextEmbeddingFunction):
    """Encodes a table's source column and texts that search it, each with the artifact's prompt for its kind.

    Vectors are those of `Encoder.encode_document` and `Encoder.encode_query`. A table remembers the artifact's name and
    identity: where this module is imported, it opens it again when it is asked, and refuses another one.

    Attributes:
        artifact: its folder or hub id.
        dimensions: keep only so many numbers of each vector, at unit length again; None for all.
        identity: the artifact's, of which the table's vectors are; None for any.
        model_extra: as for `Encoder`: ``device``, ``threads``, ``truncate``, ``max_tokens``, ``optimize_for``.
    """

    model_config = {"extra": "allow"}  # noqa: RUF012  (pydantic's)

    artifact: str
    dimensions: int | None = None
    identity: str | None = None
    _embedder: Embedder | None = None

    @property
    def embedder(self) -> Embedder:
        """What encodes."""
        if self._embedder is None:
            options: dict[str, Any] = self.model_extra or {}
            self._embedder = Embedder(self.artifact, dimensions=self.dimensions, identity=self.identity, **options)
        return self._embedder

    def ndims(self) -> int:
        """Floats of each vector."""
        return self.embedder.size

    def generate_embeddings(self, texts: Any, *_: Any, **__: Any) -> list[NDArray[np.float32]]:
        """Encode texts to be found."""
        return list(self.embedder.documents(list(texts)))

    def compute_query_embeddings(self, query: str, *_: Any, **__: Any) -> list[NDArray[np.float32]]:
        """Encode a text that looks for others."""
        return list(self.embedder.queries(self.sanitize_input(query)))

    # LanceDB repeats a call that raised, for minutes. What is wrong with a text stays wrong.
    compute_query_embeddings_with_retry = compute_query_embeddings
    compute_source_embeddings_with_retry = TextEmbeddingFunction.compute_source_embeddings

    def safe_model_dump(self) -> dict[str, Any]:
        """What a table remembers, with variables of the registry by their names."""
        given = super().safe_model_dump()
        variables = {name: value for name, value in given.items() if str(value).startswith("$var:")}
        return {**self.embedder.config(), **variables}
