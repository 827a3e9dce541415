"""Embedder: what the adapters share, an encoder that opens at its first use, and vectors of queries and documents."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, Unpack
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from ..artifact.hub import hub_id_of, locate
from ..artifact.manifest import Manifest
from ..batching import AsyncEncoder
from ..encoder import Encoder
from ..errors import IndexMismatchError, InputValueError
from ..forms import VectorForm
from ..inputs import Truncate
from ..options import OpenOptions

Artifact = str | os.PathLike[str] | Encoder

# Those in use, by folder, identity and options: a pipeline's embedders of texts and of documents share one.
_OPEN: WeakValueDictionary[tuple[str, str, str], Encoder] = WeakValueDictionary()


class Embedder:
    """Vectors of queries and of documents, each with the artifact's prompt for its kind.

    It can be pickled, by the artifact's name. Embedders of one artifact with the same options share an encoder while
    they live.

    Attributes:
        artifact: the artifact's folder or hub id.
        dimensions: how many of a vector's first numbers are kept; None for all.
        options: what the artifact is opened with.
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        dimensions: int | None = None,
        identity: str | None = None,
        **options: Unpack[OpenOptions],
    ) -> None:
        """Take note of an artifact; it is opened when `encoder` is asked for.

        Args:
            artifact: its folder, its hub id, or an open encoder, which the caller closes after this.
            dimensions: as for `Encoder.encode`.
            identity: the artifact's, where other vectors are compared with these; None for any.
            options: as for `Encoder`.

        Raises:
            InputValueError: options for an encoder that is open already.
            IndexMismatchError: that encoder's artifact is of another identity.
        """
        self.dimensions = dimensions
        self._identity = identity
        self._encoder: Encoder | None = None
        self._async: AsyncEncoder | None = None
        if isinstance(artifact, Encoder):
            if options:
                raise InputValueError(f"{', '.join(options)}: the encoder is open already; open it with these options")
            self.artifact, self.options = str(artifact.artifact), artifact.options
            self._check(artifact.manifest)
            self._encoder = artifact
        else:
            # A relative path would lead elsewhere from wherever this is opened again.
            local = hub_id_of(artifact) is None
            self.artifact = str(Path(artifact).expanduser().absolute()) if local else str(artifact)
            self.options = options

    @property
    def encoder(self) -> Encoder:
        """The encoder, opened when it is first asked for.

        Raises:
            IndexMismatchError: the artifact is of another identity.
            SimCSEError: as for `Encoder`.
        """
        if self._encoder is None:
            folder = locate(self.artifact)
            manifest = Manifest.read(folder)
            self._check(manifest)
            key = (str(folder), manifest.identity, repr(sorted(self.options.items())))
            shared = _OPEN.get(key)
            if shared is not None and shared.closed:
                # By somebody who had it from another embedder.
                _OPEN.pop(key, None)
                shared = None
            # Of threads that open it at once, all take the first one's.
            self._encoder = shared or _OPEN.setdefault(key, Encoder(folder, **self.options))
        return self._encoder

    def open(self) -> Self:
        """Open the artifact now, and check what is asked of it."""
        self._form()
        return self

    @property
    def size(self) -> int:
        """Floats of each vector."""
        return self._form().dimensions

    def queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts that look for others: float32 [len(texts), size]."""
        return self.encoder.encode_query(texts, dimensions=self.dimensions)

    def documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts to be found: float32 [len(texts), size]."""
        return self.encoder.encode_document(texts, dimensions=self.dimensions)

    async def queries_async(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `queries`; concurrent calls share the engine's runs, and none blocks its event loop."""
        return await (await self._shared()).encode_query(texts, dimensions=self.dimensions, truncate=self._truncate)

    async def documents_async(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `documents`; concurrent calls share the engine's runs, and none blocks its event loop."""
        return await (await self._shared()).encode_document(texts, dimensions=self.dimensions, truncate=self._truncate)

    def config(self) -> dict[str, Any]:
        """The arguments of another one like this, as JSON can hold them."""
        facts = {"dimensions": self.dimensions, "identity": self.encoder.manifest.identity}
        return {"artifact": self.artifact, **facts, **self.options}

    @property
    def _truncate(self) -> Truncate:
        return self.options.get("truncate", "warn")

    async def _shared(self) -> AsyncEncoder:
        if self._async is None:
            # Opening takes longer than an event loop should stand still.
            await asyncio.to_thread(self.open)
            self._async = self._async or AsyncEncoder(self.encoder)
        return self._async

    def _form(self) -> VectorForm:
        return VectorForm.of(self.encoder.manifest, self.dimensions)

    def _check(self, manifest: Manifest) -> None:
        if self._identity not in (None, manifest.identity):
            raise IndexMismatchError(
                f"{self.artifact}: is of identity {manifest.identity:.12}…, the vectors beside which it would put its "
                f"own are of {self._identity:.12}…; take the artifact that they were made with"
            )

    def __getstate__(self) -> dict[str, Any]:
        # Threads do not move to another process, and an encoder is better opened there once for all.
        return {**vars(self), "_encoder": None, "_async": None}


def floats(vectors: NDArray[np.float32]) -> list[list[float]]:
    """Vectors as Python's floats, of just the values that float32 has."""
    listed: list[list[float]] = vectors.tolist()
    return listed
