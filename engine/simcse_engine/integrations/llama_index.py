"""LlamaIndex: an artifact as the `BaseEmbedding` of its indexes."""

from typing import Any

from ..options import OpenOptions
from .encoders import Artifact, Embedder, floats
from .frameworks import framework

with framework("llama-index-core"):
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr


class SimCSEEmbedding(BaseEmbedding):
    """Encodes texts and queries, each with the artifact's prompt for its kind.

    Vectors are those of `Encoder.encode_document` and `Encoder.encode_query`, as Python's floats. Asynchronous calls
    that overlap share the engine's runs. It can be pickled, and written with `to_dict`.
    """

    model_config = ConfigDict(extra="forbid")

    artifact: str = Field(description="The artifact's folder or hub id.")
    dimensions: int | None = Field(default=None, description="Numbers kept of each vector; None for all.")
    options: dict[str, Any] = Field(default_factory=dict, description="What the artifact is opened with.")
    # As many as LlamaIndex hands over at once: which of them run together is the engine's to decide.
    embed_batch_size: int = Field(default=2048, description="Texts of a call.", gt=0, le=2048)
    _embedder: Embedder = PrivateAttr()

    def __init__(
        self,
        artifact: Artifact,
        *,
        dimensions: int | None = None,
        options: OpenOptions | None = None,
        **fields: Any,
    ) -> None:
        """Open an artifact.

        Args:
            artifact: its folder, its hub id, or an open `Encoder`.
            dimensions: keep only so many numbers of each vector, at unit length again; None for all.
            options: as for `Encoder`, for `from_dict`; they can also stand among ``fields``.
            fields: LlamaIndex's own, such as ``callback_manager``; and as for `Encoder` ``device``, ``threads``,
                ``truncate``, ``max_tokens``, ``optimize_for``.

        Raises:
            SimCSEError: as for `Encoder`; or there are fewer dimensions.
            pydantic.ValidationError: there is no such field.
        """
        given = {name: fields.pop(name) for name in OpenOptions.__annotations__ if name in fields}
        embedder = Embedder(artifact, dimensions=dimensions, **{**(options or {}), **given}).open()
        fields.setdefault("model_name", embedder.encoder.manifest.source.id)
        super().__init__(artifact=embedder.artifact, dimensions=dimensions, options=dict(embedder.options), **fields)
        self._embedder = embedder

    @classmethod
    def class_name(cls) -> str:
        """The name in `to_dict`."""
        return "SimCSEEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return floats(self._embedder.queries([query]))[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return floats(await self._embedder.queries_async([query]))[0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return floats(self._embedder.documents(texts))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return floats(await self._embedder.documents_async(texts))
