"""SimCSE: the class of the `simcse` package (0.4), on an exported artifact instead of a checkpoint in torch."""

import io
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .artifact.checkpoints import export_command
from .artifact.hub import locate
from .artifact.manifest import Manifest
from .encoder import Encoder
from .errors import (
    ClosedError,
    InputTypeError,
    InputValueError,
    OutputError,
    ProviderError,
    SearchIndexError,
)
from .files.opening import open_input
from .files.refusals import as_output_error
from .index import Index
from .index.copying import copy_index
from .inputs import checked_count
from .measure.cosines import unit_rows

Result = tuple[str, float]


class SimCSE:
    """A replacement for ``simcse.SimCSE``: the same methods, parameters and shapes, without torch.

    >>> from simcse_engine import SimCSE
    >>> model = SimCSE(artifact)
    >>> model.similarity("A man plays a guitar.", ["Someone makes music.", "The stock market fell."]).shape
    (2,)
    >>> model.build_index(["A man plays a guitar.", "The stock market fell."])
    >>> model.search("Someone makes music.")
    [('A man plays a guitar.', 0.6203)]

    What differs on purpose:

    - It takes an artifact, not a checkpoint: ``simcse-export CHECKPOINT -o ARTIFACT`` makes one. The artifact has its
      pooler; another ``pooler=`` raises. All five poolers of SimCSE are possible, where upstream has two.
    - Vectors are float32 arrays; there is no tensor to return, so ``return_numpy`` changes nothing.
    - Texts are cut at the artifact's ``max_tokens`` unless ``max_length`` says less, and a `TruncationWarning` counts
      them. Upstream cuts at 128 in silence; ``encode(…, max_length=128)`` gives its vectors.
    - Prompts, which no checkpoint of upstream's has, are put before sentences as `Encoder` and `Index` do it.
    - Most artifacts give unit vectors; ``normalize_to_unit=False`` needs one that was exported with
      ``--no-normalize``, and raises otherwise.
    - ``device`` is given once, to the class; a method's ``device`` that is another one raises.
    - An empty list gives [0, dimension]. A zero vector stays zero, and has cosine 0 to all vectors.
    - `search` heeds ``threshold`` and ``top_k`` for a list of queries too; upstream's, without faiss, ignores them.
      Scores are always Python floats, where upstream's are NumPy's with faiss.
    - `search` compares every vector up to 100,000, and uses an ANN graph beyond. So ``num_cells``,
      ``num_cells_in_search``, ``use_faiss`` and ``faiss_fast`` are accepted without effect; so is ``batch_size``.
    - The caller's list is never changed: upstream's `add_to_index` appends to the list passed to `build_index`.
    - Files are read as UTF-8, whatever the locale.
    - Progress bars appear only on terminals, and only for an index; nothing is logged.
    - `save_index` and `load_index` are new.

    Attributes:
        manifest: what is known of the artifact.
        device: the device that it runs on.
        pooler: the artifact's pooler.
    """

    manifest: Manifest

    def __init__(
        self,
        artifact: str | os.PathLike[str],
        device: str | None = None,
        num_cells: int = 100,
        num_cells_in_search: int = 10,
        pooler: str | None = None,
    ) -> None:
        """Load an artifact.

        Args:
            artifact: its folder, or a hub id ``user/name[@revision]``.
            device: "cpu", "cuda" or "cuda:N"; None for the artifact's target.
            num_cells: without effect.
            num_cells_in_search: without effect.
            pooler: the pooler that the artifact must have; None for any.

        Raises:
            ArtifactNotFoundError: no artifact; for a checkpoint, the message has the command that exports it.
            InputValueError: the artifact has another pooler.
            ArtifactError, ProviderError, RuntimeMissingError: as for `Encoder`.
        """
        self.num_cells = num_cells
        self.num_cells_in_search = num_cells_in_search
        self._folder = locate(artifact, pooler=pooler)
        manifest = Manifest.read(self._folder)
        if pooler is not None and pooler != manifest.pooler:
            raise InputValueError(
                f"{artifact}: its pooler is {manifest.pooler!r}, not {pooler!r}; leave pooler out, or export with it: "
                f"{export_command(manifest.source.id, pooler=pooler)}"
            )
        self._encoder = Encoder(self._folder, device=device)
        self.manifest = self._encoder.manifest
        self.device = self._encoder.device
        self.pooler = self.manifest.pooler
        # With another max_length than the artifact's: opened at its first use, and the last one is kept.
        self._shorter: Encoder | None = None
        self._index: Index | None = None
        self._temporary: weakref.finalize[Any, Any] | None = None
        self._closed = False

    def encode(
        self,
        sentence: str | list[str],
        device: str | None = None,
        return_numpy: bool = False,  # noqa: ARG002  (upstream's)
        normalize_to_unit: bool = True,
        keepdim: bool = False,
        batch_size: int = 64,  # noqa: ARG002  (upstream's)
        max_length: int | None = None,
    ) -> NDArray[np.float32]:
        """Encode a sentence, or a list of them.

        Args:
            sentence: one, or a list.
            device: None, or the class's.
            return_numpy: without effect: the result is always an array.
            normalize_to_unit: scale the vectors to length 1.
            keepdim: return [1, dimension] for one sentence.
            batch_size: without effect.
            max_length: cut after so many tokens, special ones included; None for the artifact's ``max_tokens``, which
                is also the most. A lower value opens a second encoder, and keeps it.

        Returns:
            float32: [dimension] for a `str`, [n, dimension] for a list.

        Raises:
            InputTypeError: a sentence is no `str`.
            InputValueError: a text holds a lone surrogate; ``normalize_to_unit=False`` with an artifact that
                normalizes.
            ProviderError: another device than the class's.
        """
        self._check_device(device)
        if not normalize_to_unit and self.manifest.normalized:
            raise InputValueError(
                f"normalize_to_unit=False: {self._folder} gives unit vectors only; export one that does not: "
                f"{export_command(self.manifest.source.id, pooler=self.pooler)} --no-normalize"
            )
        single = isinstance(sentence, str)
        vectors = self._encoder_for(max_length).encode([sentence] if isinstance(sentence, str) else sentence)
        if normalize_to_unit and not self.manifest.normalized:
            vectors = unit_rows(vectors).astype(np.float32)
        return vectors[0] if single and not keepdim else vectors

    def similarity(
        self, queries: str | list[str], keys: str | list[str] | NDArray[Any], device: str | None = None
    ) -> float | NDArray[np.float32]:
        """Cosines between queries and keys.

        Args:
            queries: a sentence, or a list of n.
            keys: a sentence, a list of m, or vectors [m, dimension] or [dimension], of any length.
            device: None, or the class's.

        Returns:
            A float for one and one; float32 [m] for one query and several keys; [n, m] for a list of queries ([n, 1]
            for one key).

        Raises:
            InputValueError: an array of another shape.
            InputTypeError: a sentence is no `str`, or an array holds no numbers.
        """
        query_vectors = self.encode(queries, device=device)
        if isinstance(keys, np.ndarray):
            key_vectors = _checked_keys(keys, self.manifest.dimension)
        else:
            key_vectors = self.encode(keys, device=device)
        cosines = unit_rows(np.atleast_2d(query_vectors)) @ unit_rows(np.atleast_2d(key_vectors)).T
        if query_vectors.ndim == 1 and key_vectors.ndim == 1:
            return float(np.float32(cosines[0, 0]))
        return (cosines[0] if query_vectors.ndim == 1 else cosines).astype(np.float32)

    def build_index(
        self,
        sentences_or_file_path: str | os.PathLike[str] | list[str],
        use_faiss: bool | None = None,  # noqa: ARG002  (upstream's)
        faiss_fast: bool = False,  # noqa: ARG002  (upstream's)
        device: str | None = None,
        batch_size: int = 64,  # noqa: ARG002  (upstream's)
    ) -> None:
        """Encode sentences to search in. An index that was built before is dropped, unless it was saved.

        Args:
            sentences_or_file_path: a list, or a path to a UTF-8 file with one sentence per line, whose end is stripped
                of white space; blank lines are kept.
            use_faiss: without effect.
            faiss_fast: without effect.
            device: None, or the class's.
            batch_size: without effect.

        Raises:
            InputTypeError, InputValueError: the file cannot be read, or an item is no sentence.
            OutputError: no room in the folder for temporary files (``TMPDIR``), where the index lies until
                `save_index`.
        """
        self._check_device(device)
        sentences = _sentences(sentences_or_file_path)
        # Only an Index searches, saves and grows, so that there is one path. Its files are removed with this object.
        with as_output_error(Path(os.environ.get("TMPDIR", "/tmp"))):
            home = tempfile.mkdtemp(prefix="simcse-engine-")
        temporary = weakref.finalize(self, _remove_folder, home, os.getpid())
        try:
            folder = Path(home) / "index"
            Index.create(folder, self._open_encoder()).close()
            self._add(folder, sentences)
            index = Index.open(folder, read_only=True, artifact=self._encoder)
        except BaseException:
            temporary()
            raise
        self._use(index, temporary)

    def add_to_index(
        self,
        sentences_or_file_path: str | os.PathLike[str] | list[str],
        device: str | None = None,
        batch_size: int = 64,  # noqa: ARG002  (upstream's)
    ) -> None:
        """Add sentences to the index; one that was saved or loaded is changed in its folder, durably.

        Args:
            sentences_or_file_path: as for `build_index`.
            device: None, or the class's.
            batch_size: without effect.

        Raises:
            SearchIndexError: there is no index; or it is open for writing elsewhere (`IndexLockedError`).
        """
        self._check_device(device)
        self._add(self._built().folder, _sentences(sentences_or_file_path))

    def search(
        self, queries: str | list[str], device: str | None = None, threshold: float = 0.6, top_k: int = 5
    ) -> list[Result] | list[list[Result]]:
        """Find the sentences that are nearest in meaning.

        Args:
            queries: a sentence, or a list of them.
            device: None, or the class's.
            threshold: the lowest cosine of a result.
            top_k: most results per query.

        Returns:
            ``[(sentence, score), …]``, best first, equal scores in the order of addition; for a list of queries, one
            such list per query.

        Raises:
            SearchIndexError: there is no index.
        """
        self._check_device(device)
        index = self._built()
        single = isinstance(queries, str)
        hits = index.search([queries] if isinstance(queries, str) else queries, k=top_k, threshold=threshold)
        results = [[(hit.text, hit.score) for hit in hits_of_query] for hits_of_query in hits]
        return results[0] if single else results

    def save_index(self, folder: str | os.PathLike[str]) -> None:
        """Save the index in a folder, which `load_index`, `Index.open` and the command line read.

        From then on the index lies there: `add_to_index` adds to the folder.

        Args:
            folder: must not exist, or must be empty. It appears whole or not at all.

        Raises:
            SearchIndexError: there is no index, or it is open for writing elsewhere (`IndexLockedError`).
            OutputError: the folder exists, or cannot be written.
        """
        source = self._built()
        target = Path(folder).expanduser().absolute()
        if source.folder.resolve() in target.resolve().parents:
            raise OutputError(f"{target}: lies within the index that is saved; name a folder outside of it")
        copy_index(source.folder, target, self._encoder)
        self._use(Index.open(target, read_only=True, artifact=self._encoder), None)

    def load_index(self, folder: str | os.PathLike[str]) -> None:
        """Search in an index that was saved; it may be larger than memory.

        Args:
            folder: made by `save_index`, or that of any `Index` of this artifact.

        Raises:
            IndexNotFoundError: there is no index.
            IndexMismatchError: it is of another artifact.
            IndexDamagedError, IndexVersionError: it cannot be read.
        """
        self._use(Index.open(folder, read_only=True, artifact=self._open_encoder()), None)

    def close(self) -> None:
        """Free the model, and drop an index that was not saved. Closing twice is fine."""
        self._use(None, None)
        for encoder in (self._encoder, self._shorter):
            if encoder is not None:
                encoder.close()
        self._closed = True

    def _add(self, folder: Path, sentences: list[str]) -> None:
        with (
            Index.open(folder, read_only=False, artifact=self._open_encoder()) as index,
            # disable=None: no bar where stderr is no terminal.
            tqdm(total=len(sentences), unit=" sentences", disable=None) as bar,
        ):
            index.add(sentences, encoded=bar.update)

    def _use(self, index: Index | None, temporary: "weakref.finalize[Any, Any] | None") -> None:
        """Search in ``index`` from now on."""
        previous, self._index = self._index, index
        remove_previous, self._temporary = self._temporary, temporary
        if previous is not None:
            previous.close()
        if remove_previous is not None:
            remove_previous()

    def _built(self) -> Index:
        self._open_encoder()
        if self._index is None:
            raise SearchIndexError("there is no index; call build_index or load_index first")
        return self._index

    def _open_encoder(self) -> Encoder:
        if self._closed:
            raise ClosedError("this SimCSE is closed; open a new one")
        return self._encoder

    def _encoder_for(self, max_length: int | None) -> Encoder:
        encoder = self._open_encoder()
        max_tokens = checked_count("max_length", max_length, encoder.max_tokens)
        if max_tokens >= encoder.max_tokens:
            return encoder
        if self._shorter is None or self._shorter.max_tokens != max_tokens:
            previous = self._shorter
            self._shorter = Encoder(self._folder, device=self.device, max_tokens=max_tokens)
            if previous is not None:
                previous.close()
        return self._shorter

    def _check_device(self, device: str | None) -> None:
        if device is not None and str(device) != self.device:
            raise ProviderError(
                f"device={str(device)!r}: this SimCSE runs on {self.device}; open it with SimCSE(…, device=…)"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SimCSE {str(self._folder)!r}: pooler {self.pooler} on {self.device}>"


def _sentences(sentences_or_file_path: object) -> list[str]:
    if isinstance(sentences_or_file_path, list | tuple):
        return list(sentences_or_file_path)
    if not isinstance(sentences_or_file_path, str | os.PathLike):
        raise InputTypeError(f"expected a list of sentences or a path, not {type(sentences_or_file_path).__name__}")
    path = Path(os.fspath(sentences_or_file_path))
    try:
        # Lines as upstream's text mode gives them; utf-8-sig: a byte order mark is not part of the first sentence.
        with io.TextIOWrapper(open_input(path), encoding="utf-8-sig") as file:
            return [line.rstrip() for line in file]
    except UnicodeDecodeError as error:
        raise InputValueError(f"{path}: not UTF-8 ({error.reason} at byte {error.start} of a part)") from error
    except InputValueError as error:
        raise InputValueError(f"{error}; a str is a path, sentences are passed as a list") from error


def _checked_keys(keys: NDArray[Any], dimension: int) -> NDArray[Any]:
    if keys.dtype.kind not in "fiu":
        raise InputTypeError(f"keys are of {keys.dtype}; expected float32 vectors or a list of sentences")
    if keys.ndim not in (1, 2) or keys.shape[-1] != dimension:
        raise InputValueError(f"keys are of shape {list(keys.shape)}; expected [m, {dimension}] or [{dimension}]")
    return keys


def _remove_folder(folder: str, owner: int) -> None:
    # A forked child ends too, and must leave the folder to its parent.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
