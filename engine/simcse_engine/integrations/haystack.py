"""Haystack: an artifact as the components that embed texts and documents."""

from dataclasses import replace
from typing import Any

from .encoders import Artifact, Embedder, floats
from .frameworks import framework

with framework("haystack-ai"):
    from haystack import Document, component, default_to_dict


@component
class SimCSETextEmbedder:
    """Encodes a text that looks for others: the vector of `Encoder.encode_query`, as Python's floats."""

    def __init__(self, artifact: Artifact, *, dimensions: int | None = None, **options: Any) -> None:
        """Take note of an artifact, which `warm_up` or the first text opens.

        Args:
            artifact: its folder, its hub id, or an open `Encoder`.
            dimensions: keep only so many numbers of each vector, at unit length again; None for all.
            options: as for `Encoder`: ``device``, ``threads``, ``truncate``, ``max_tokens``, ``optimize_for``.
        """
        self._embedder = Embedder(artifact, dimensions=dimensions, **options)

    def warm_up(self) -> None:
        """Open the artifact, once."""
        self._embedder.open()

    def to_dict(self) -> dict[str, Any]:
        """Write the component, the artifact by its name."""
        return _written(self, self._embedder)

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, Any]:
        """Encode a text: ``embedding``."""
        return {"embedding": floats(self._embedder.queries([text]))[0]}

    @component.output_types(embedding=list[float])
    async def run_async(self, text: str) -> dict[str, Any]:
        """As `run`; calls that overlap share the engine's runs."""
        return {"embedding": floats(await self._embedder.queries_async([text]))[0]}


@component
class SimCSEDocumentEmbedder:
    """Encodes documents to be found: the vectors of `Encoder.encode_document`, as Python's floats."""

    def __init__(
        self,
        artifact: Artifact,
        *,
        dimensions: int | None = None,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
        **options: Any,
    ) -> None:
        """Take note of an artifact, which `warm_up` or the first document opens.

        Args:
            artifact, dimensions, options: as for `SimCSETextEmbedder`.
            meta_fields_to_embed: names of metadata that stand before a document's content, where it has them.
            embedding_separator: what stands between them.
        """
        self._embedder = Embedder(artifact, dimensions=dimensions, **options)
        self._fields, self._separator = meta_fields_to_embed or [], embedding_separator

    def warm_up(self) -> None:
        """Open the artifact, once."""
        self._embedder.open()

    def to_dict(self) -> dict[str, Any]:
        """Write the component, the artifact by its name."""
        return _written(self, self._embedder, meta_fields_to_embed=self._fields, embedding_separator=self._separator)

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Encode documents: ``documents``, copies with embeddings."""
        return _embedded(documents, floats(self._embedder.documents(self._texts(documents))))

    @component.output_types(documents=list[Document])
    async def run_async(self, documents: list[Document]) -> dict[str, Any]:
        """As `run`; calls that overlap share the engine's runs."""
        return _embedded(documents, floats(await self._embedder.documents_async(self._texts(documents))))

    def _texts(self, documents: list[Document]) -> list[str]:
        if not isinstance(documents, list) or not all(isinstance(each, Document) for each in documents):
            raise TypeError("SimCSEDocumentEmbedder takes a list of Documents; SimCSETextEmbedder takes a str")
        parts = ([*map(each.meta.get, self._fields), each.content or ""] for each in documents)
        return [self._separator.join(str(part) for part in text if part is not None) for text in parts]


def _embedded(documents: list[Document], vectors: list[list[float]]) -> dict[str, Any]:
    return {"documents": [replace(each, embedding=vector) for each, vector in zip(documents, vectors, strict=True)]}


def _written(component: Any, embedder: Embedder, **facts: Any) -> dict[str, Any]:
    where = {"artifact": embedder.artifact, "dimensions": embedder.dimensions}
    written: dict[str, Any] = default_to_dict(component, **where, **facts, **embedder.options)
    return written
