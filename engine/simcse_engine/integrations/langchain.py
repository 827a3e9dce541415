"""LangChain: an artifact as the `Embeddings` of its vector stores."""

from typing import Unpack

from ..options import OpenOptions
from .encoders import Artifact, Embedder, floats
from .frameworks import framework

with framework("langchain-core"):
    from langchain_core.embeddings import Embeddings


class SimCSEEmbeddings(Embeddings):
    """Encodes documents and queries, each with the artifact's prompt for its kind.

    Vectors are those of `Encoder.encode_document` and `Encoder.encode_query`, as Python's floats. Asynchronous calls
    that overlap share the engine's runs. It can be pickled.
    """

    def __init__(self, artifact: Artifact, *, dimensions: int | None = None, **options: Unpack[OpenOptions]) -> None:
        """Open an artifact.

        Args:
            artifact: its folder, its hub id, or an open `Encoder`.
            dimensions: keep only so many numbers of each vector, at unit length again; None for all.
            options: as for `Encoder`: ``device``, ``threads``, ``truncate``, ``max_tokens``, ``optimize_for``.

        Raises:
            SimCSEError: as for `Encoder`; or there are fewer dimensions.
        """
        self._embedder = Embedder(artifact, dimensions=dimensions, **options).open()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Encode texts to be found."""
        return floats(self._embedder.documents(texts))

    def embed_query(self, text: str) -> list[float]:
        """Encode a text that looks for others."""
        return floats(self._embedder.queries([text]))[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """As `embed_documents`, without blocking the event loop."""
        return floats(await self._embedder.documents_async(texts))

    async def aembed_query(self, text: str) -> list[float]:
        """As `embed_query`, without blocking the event loop."""
        return floats(await self._embedder.queries_async([text]))[0]
