"""Binding: ties an index to its artifact, and opens the encoder when it is needed."""

import contextlib
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..artifact.hub import ARTIFACT, hub_id_of, locate, locate_remembered
from ..artifact.manifest import Manifest
from ..artifact.opening import as_artifact_error
from ..artifact.written import MANIFEST
from ..encoder import Encoder
from ..errors import ArtifactNotFoundError, ClosedError, IndexMismatchError, InputTypeError, InputValueError
from ..inputs import check_texts, checked_sequence
from ..prompts import DOCUMENT, Prompts
from ..wording import Wording
from .checks import checked_vectors
from .storage.records import About

Artifact = str | os.PathLike[str] | Encoder


def about_of(artifact: Artifact, dtype: str, keys: str = "int") -> About:
    """What a new index for an artifact is."""
    location, manifest = _facts_of(artifact, ARTIFACT)
    if isinstance(artifact, Encoder) and artifact.max_tokens != manifest.max_tokens:
        raise InputValueError(
            f"this encoder cuts at {artifact.max_tokens} tokens, its artifact at {manifest.max_tokens}, as an "
            "index does; give one without max_tokens"
        )
    return About(
        name=secrets.token_hex(16),
        artifact=location,
        identity=manifest.identity,
        model=manifest.model,
        dimension=manifest.dimension,
        max_tokens=manifest.max_tokens,
        dtype=dtype,
        keys=keys,
    )


def _facts_of(artifact: Artifact, files: Sequence[str]) -> tuple[str, Manifest]:
    """Where an artifact is, as an index remembers it, and its manifest; ``files`` are fetched, if it is on the hub."""
    if isinstance(artifact, Encoder):
        return str(artifact.artifact), artifact.manifest
    folder = locate(artifact, files=files)
    location = str(artifact) if hub_id_of(artifact) is not None else str(folder.absolute())
    with as_artifact_error(folder):
        return location, Manifest.read(folder)


class Binding:
    """The artifact of one open index; may be used from many threads at once."""

    def __init__(self, folder: Path, about: About, artifact: Artifact | None, *, same_model: bool) -> None:
        """Tie an index to ``artifact``, or to the one that it remembers; neither is opened yet."""
        self._folder = folder
        self._about = about
        self._same_model = same_model
        self._opening = threading.Lock()
        self._encoder: Encoder | None = None
        # The encoder if it was opened here, so that it is closed here.
        self._owned: Encoder | None = None
        self._closed = False
        # The identity of an accepted artifact of the same model, whose vectors are accepted too.
        self._twin: str | None = None
        # None for the one that the index remembers.
        self._artifact: str | os.PathLike[str] | None = None
        if artifact is None:
            return
        # Of one on the hub, the rest is fetched when it is opened.
        location, manifest = _facts_of(artifact, [MANIFEST])
        self._twin = manifest.identity if same_model else None
        if isinstance(artifact, Encoder):
            self.check(artifact)
            self._encoder = artifact
        else:
            self._check(manifest, manifest.max_tokens, location)
            self._artifact = artifact

    def encoder(self) -> Encoder:
        """The encoder, opened with the first call; IndexMismatchError if the artifact was replaced by another."""
        with self._opening:
            if self._closed:
                raise ClosedError("this index is closed; open it again")
            if self._encoder is None:
                self._encoder = self._open()
            return self._encoder

    def _open(self) -> Encoder:
        with self._saying_where():
            encoder = Encoder(self._located()[0])
        try:
            # It may have been replaced meanwhile.
            self.check(encoder)
        except BaseException:
            encoder.close()
            raise
        self._owned = encoder
        return encoder

    def _located(self) -> tuple[Path, Manifest]:
        """The artifact's folder and manifest; nothing else of it is loaded."""
        folder = locate_remembered(self._about.artifact) if self._artifact is None else locate(self._artifact)
        # Before any of it is loaded: an index may name whatever its author wished.
        with as_artifact_error(folder):
            manifest = Manifest.read(folder)
        self._check(manifest, manifest.max_tokens, str(folder))
        return folder, manifest

    @contextlib.contextmanager
    def _saying_where(self) -> Iterator[None]:
        try:
            yield
        except ArtifactNotFoundError as error:
            raise ArtifactNotFoundError(
                f"{self._folder}: its artifact is not where it was (",
                *error.args,
                "); ",
                Wording("open the index with artifact=…", "name it with --artifact"),
            ) from error

    def _check(self, manifest: Manifest, max_tokens: int, location: str) -> None:
        about = self._about
        filled = f"{self._folder} was filled with"
        if manifest.model != about.model:
            raise IndexMismatchError(
                f"{filled} the artifact {about.artifact}; {location} is of another model, pooler, tokenizer, prompts "
                "or length, so its vectors do not compare; take the former"
            )
        if manifest.identity != about.identity and not self._same_model:
            raise IndexMismatchError(
                f"{filled} the artifact {about.artifact}; {location} is the same model in another precision or ",
                "export; ",
                Wording("open with same_model=True to accept it", "--same-model accepts it"),
            )
        if max_tokens != about.max_tokens:
            raise IndexMismatchError(
                f"{filled} texts of up to {about.max_tokens} tokens, this encoder cuts at {max_tokens}; open it "
                "without max_tokens"
            )

    def check(self, encoder: Encoder) -> None:
        """Raise IndexMismatchError unless an encoder is of the index's artifact, or of an accepted one."""
        self._check(encoder.manifest, encoder.max_tokens, str(encoder.artifact))

    def check_identity(self, identity: str | None) -> None:
        """Raise IndexMismatchError if vectors are of another artifact than the index's or an accepted one."""
        if identity is not None and identity not in (self._about.identity, self._twin):
            raise IndexMismatchError(
                f"the vectors are of artifact {identity!s:.12}…, those of {self._folder} of "
                f"{self._about.identity:.12}…; encode the texts with {self._about.artifact}"
            )

    def check_prompt(self, prompt: str | None) -> None:
        """Raise IndexMismatchError if vectors are of texts behind another prompt than the index's documents have."""
        if prompt is None:
            return
        with self._opening:
            encoder = self._encoder
        if encoder is None:
            with self._saying_where():
                manifest = self._located()[1]
        else:
            manifest = encoder.manifest
        expected = Prompts(manifest.prompts, manifest.default_prompt_name).choose(None, None, DOCUMENT)
        if prompt != expected:
            raise IndexMismatchError(
                f"the vectors are of texts behind the prompt {prompt!r:.40}, those of {self._folder} behind "
                f"{expected!r:.40}; encode the texts with ",
                Wording("encode_document", f"--prompt {expected!r:.40}"),
            )

    def unit(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """An encoder's vectors at unit length, which not every artifact gives them."""
        return checked_vectors(vectors, self._about.dimension)

    def queries(self, queries: Sequence[str] | NDArray[np.float32]) -> NDArray[np.float32]:
        """The unit vectors of queries, which are texts or vectors."""
        if isinstance(queries, np.ndarray) and queries.dtype.kind in "fiu":
            return checked_vectors(queries, self._about.dimension)
        if isinstance(queries, str):
            raise InputTypeError("queries is one str; give a list, as in search([text])")
        texts: Sequence[str] = checked_sequence(queries)  # type: ignore[arg-type]
        check_texts(texts)
        if not len(texts):
            return np.empty((0, self._about.dimension), np.float32)
        return self.unit(self.encoder().encode_query(texts))

    def close(self) -> None:
        """Close the encoder, if it was opened here."""
        with self._opening:
            self._closed = True
            if self._owned is not None:
                self._owned.close()

    def after_fork(self) -> None:
        """In a forked child: another thread may have held the lock."""
        self._opening = threading.Lock()
