"""Chroma: an artifact as the embedding function of its collections."""

from typing import Any, Unpack

from ..errors import InputValueError
from ..options import OpenOptions
from .encoders import Artifact, Embedder
from .frameworks import framework

with framework("chromadb"):
    from chromadb.api.types import Documents, EmbeddingFunction, Embeddings, Space
    from chromadb.utils.embedding_functions import register_embedding_function

_OPTIONS = {"dimensions", "identity", *OpenOptions.__annotations__}


@register_embedding_function
class SimCSEEmbeddingFunction(EmbeddingFunction[Documents]):
    """Encodes documents and queries, each with the artifact's prompt for its kind.

    Vectors are those of `Encoder.encode_document` and `Encoder.encode_query`. A collection remembers the artifact's
    name and identity: where this module is imported, it opens it again when it is asked, and refuses another one.
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        dimensions: int | None = None,
        identity: str | None = None,
        **options: Unpack[OpenOptions],
    ) -> None:
        """Take note of an artifact, which is opened when a collection is made or asked.

        Args:
            artifact: its folder, its hub id, or an open `Encoder`.
            dimensions: keep only so many numbers of each vector, at unit length again; None for all.
            identity: the artifact's, of which the collection's vectors are; None for any.
            options: as for `Encoder`: ``device``, ``threads``, ``truncate``, ``max_tokens``, ``optimize_for``.
        """
        self._embedder = Embedder(artifact, dimensions=dimensions, identity=identity, **options)

    def __call__(self, input: Documents) -> Embeddings:
        """Encode texts to be found: float32 arrays."""
        return list(self._embedder.documents(input))

    def embed_query(self, input: Documents) -> Embeddings:
        """Encode texts that look for others: float32 arrays."""
        return list(self._embedder.queries(input))

    @staticmethod
    def name() -> str:
        """The name in a collection's configuration."""
        return "simcse"

    def default_space(self) -> Space:
        """Cosines, which SimCSE is trained for."""
        return "cosine"

    def get_config(self) -> dict[str, Any]:
        """What a collection remembers."""
        return self._embedder.config()

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> "SimCSEEmbeddingFunction":
        """What a collection remembers, made again."""
        SimCSEEmbeddingFunction.validate_config(config)
        return SimCSEEmbeddingFunction(**config)

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Raise InputValueError unless a configuration is one of these."""
        unknown = config.keys() - _OPTIONS - {"artifact"}
        if unknown or not isinstance(config.get("artifact"), str):
            found = f"unknown {', '.join(sorted(unknown))}" if unknown else "no artifact's folder or hub id"
            raise InputValueError(f"this is no configuration of the embedding function simcse: {found}")

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        """Raise InputValueError where vectors would not be those that the collection has."""
        manifest = self._embedder.encoder.manifest
        # What None stands for.
        own = {"identity": manifest.identity, "dimensions": manifest.dimension, "max_tokens": manifest.max_tokens}
        old, new = (
            {name: value if config.get(name) is None else config[name] for name, value in own.items()}
            for config in (old_config, new_config)
        )
        changed = [name for name in own if old[name] != new[name]]
        if changed:
            raise InputValueError(f"the collection's vectors are of another {changed[0]}; make a new collection")
