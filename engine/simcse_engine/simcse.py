"""SimCSE: the class of the `simcse` package (0.4), on an exported artifact instead of a checkpoint in torch."""

import contextlib
import os
import shlex
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from .artifact.hub import hub_id_of, locate
from .artifact.manifest import MANIFEST, Manifest
from .encoder import Encoder
from .errors import (
    ArtifactNotFoundError,
    ClosedError,
    InputTypeError,
    InputValueError,
    OutputError,
    ProviderError,
    SearchIndexError,
)
from .files.atomic import whole_folder
from .index import Index
from .measure.cosines import unit_rows

Result = tuple[str, float]


class SimCSE:
    """Takes the place of ``simcse.SimCSE``: the same methods, parameters and shapes, without torch.

    >>> from simcse_engine import SimCSE
    >>> model = SimCSE(artifact)
    >>> model.similarity("A man plays a guitar.", ["Someone makes music.", "The stock market fell."]).shape
    (2,)
    >>> model.build_index(["A man plays a guitar.", "The stock market fell."])
    >>> model.search("Someone makes music.")
    [('A man plays a guitar.', 0.6203)]

    What differs on purpose:

    - It takes an artifact, not a checkpoint: ``simcse-export CHECKPOINT -o ARTIFACT`` makes one. The artifact has its
      pooler; another ``pooler=`` raises. All five of SimCSE's are possible, where upstream has two.
    - Vectors are float32 arrays; there is no tensor to return, so ``return_numpy`` changes nothing.
    - Texts are cut at the artifact's ``max_tokens`` unless ``max_length`` says less, and a `TruncationWarning` counts
      them. Upstream cuts at 128 in silence; ``encode(…, max_length=128)`` gives its vectors.
    - Most artifacts give unit vectors; ``normalize_to_unit=False`` needs one that was exported with
      ``--no-normalize``, and raises otherwise.
    - ``device`` is given once, to the class; a method's ``device`` that is another one raises.
    - An empty list is fine, and gives [0, dimension]. A zero vector stays zero, and has cosine 0 to all.
    - `search` heeds ``threshold`` and ``top_k`` for a list of queries too; upstream's, without faiss, forgets them.
      Scores are Python floats throughout, where upstream's are NumPy's with faiss.
    - `search` compares every vector up to 20,000, and asks a graph beyond. So ``num_cells``, ``num_cells_in_search``,
      ``use_faiss`` and ``faiss_fast`` are accepted and change nothing; nor does ``batch_size``.
    - The caller's list is never changed: upstream's `add_to_index` appends to what `build_index` was given.
    - Files are read as UTF-8, whatever the locale.
    - Progress bars appear on terminals alone, and only for an index; nothing is logged.
    - `save_index` and `load_index` are new.

    Attributes:
        manifest: what is known of the artifact.
        device: what it runs on.
        pooler: the artifact's.
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
            pooler: what the artifact must have been exported with, if it matters.

        Raises:
            ArtifactNotFoundError: no artifact; if it is a checkpoint, the message has the command that exports it.
            InputValueError: the artifact has another pooler.
            ArtifactError, ProviderError, RuntimeMissingError: as for `Encoder`.
        """
        self.num_cells = num_cells
        self.num_cells_in_search = num_cells_in_search
        self._folder = _artifact_folder(artifact, pooler)
        found = Manifest.read(self._folder)
        if pooler is not None and pooler != found.pooler:
            raise InputValueError(
                f"{artifact}: its pooler is {found.pooler!r}, not {pooler!r}; leave pooler out, or export with it: "
                f"{_export_command(found.source.id, pooler)}"
            )
        self._encoder = Encoder(self._folder, device=device)
        self.manifest = self._encoder.manifest
        self.device = self._encoder.device
        self.pooler = self.manifest.pooler
        # Of another max_length than the artifact's: opened when it is asked for, and the last one kept.
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
            device: None, or what the class runs on.
            return_numpy: without effect: it is always an array.
            normalize_to_unit: bring the vectors to length 1.
            keepdim: [1, dimension] for one sentence.
            batch_size: without effect.
            max_length: cut after so many tokens, special ones included; None, or more than that, for the artifact's
                ``max_tokens``. For another value than that, a second encoder is opened and kept.

        Returns:
            float32: [dimension] for a `str`, [n, dimension] for a list.

        Raises:
            InputTypeError: something is no `str`.
            InputValueError: a text holds a lone surrogate; ``normalize_to_unit=False`` with an artifact that
                normalizes.
            ProviderError: another device than the class's.
        """
        self._check_device(device)
        if not normalize_to_unit and self.manifest.normalized:
            raise InputValueError(
                f"normalize_to_unit=False: {self._folder} gives unit vectors only; export one that does not: "
                f"{_export_command(self.manifest.source.id, self.pooler)} --no-normalize"
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
            device: None, or what the class runs on.

        Returns:
            A float for one and one; float32 [m] for one query and several keys; [n, m] for a list of queries ([n, 1]
            for one key).

        Raises:
            InputValueError: an array of another shape.
            InputTypeError: something is no `str`, or an array no numbers.
        """
        query_vectors = self.encode(queries, device=device)
        key_vectors = _checked_keys(keys, self.manifest.dimension) if isinstance(keys, np.ndarray) else None
        if key_vectors is None:
            key_vectors = self.encode(keys, device=device)  # type: ignore[arg-type]
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
        """Encode sentences to search in; what was built, saved or loaded before is left alone or, unsaved, dropped.

        Args:
            sentences_or_file_path: a list, or a path to a UTF-8 file with one a line, whose ends are stripped of
                white space; blank lines are kept.
            use_faiss: without effect.
            faiss_fast: without effect.
            device: None, or what the class runs on.
            batch_size: without effect.

        Raises:
            InputTypeError, InputValueError: the file cannot be read, or something is no sentence.
            OutputError: no room in the folder for temporary files (``TMPDIR``), where it lies until `save_index`.
        """
        self._check_device(device)
        sentences = _sentences(sentences_or_file_path)
        # Only an Index searches, saves and grows, so that there is one path. Its files go with this object.
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
            device: None, or what the class runs on.
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
            device: None, or what the class runs on.
            threshold: least cosine, itself included.
            top_k: most results a query.

        Returns:
            ``[(sentence, score), …]``, best first, equal scores in the order of addition; for a list of queries, a
            list of these.

        Raises:
            SearchIndexError: there is no index.
        """
        self._check_device(device)
        index = self._built()
        single = isinstance(queries, str)
        found = index.search([queries] if isinstance(queries, str) else queries, k=top_k, threshold=threshold)
        results = [[(hit.text, hit.score) for hit in hits] for hits in found]
        return results[0] if single else results

    def save_index(self, folder: str | os.PathLike[str]) -> None:
        """Keep the index in a folder, which `load_index`, `Index.open` and the command line read.

        From then on it lies there: `add_to_index` adds to the folder.

        Args:
            folder: must not exist, or be empty. It appears whole or not at all.

        Raises:
            SearchIndexError: there is no index.
            OutputError: the folder exists, or cannot be written.
        """
        source = self._built()
        target = Path(folder).expanduser().absolute()
        if source.folder.resolve() in target.resolve().parents:
            raise OutputError(f"{target}: lies within the index that is to be saved; name a folder outside of it")
        # The lock keeps writers off while files are copied. A reader that ends may still move SQLite's log into the
        # database: so the log comes first, and is either whole or not needed.
        with whole_folder(target) as staging, Index.open(source.folder, artifact=self._encoder):
            for path in sorted(source.folder.iterdir(), reverse=True):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(path, staging / path.name)
        self._use(Index.open(target, read_only=True, artifact=self._encoder), None)

    def load_index(self, folder: str | os.PathLike[str]) -> None:
        """Search in an index that was saved; it may be larger than memory.

        Args:
            folder: of `save_index`, or any `Index` of this artifact.

        Raises:
            IndexNotFoundError: there is none.
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
            Index.open(folder, artifact=self._open_encoder()) as index,
            # disable=None: no bar where stderr is no terminal.
            tqdm(total=len(sentences), unit=" sentences", disable=None) as bar,
        ):
            index.add(sentences, progress=bar.update)

    def _use(self, index: Index | None, temporary: "weakref.finalize[Any, Any] | None") -> None:
        """Search in this one from now on."""
        before, self._index = self._index, index
        dropped, self._temporary = self._temporary, temporary
        if before is not None:
            before.close()
        if dropped is not None:
            dropped()

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
        whole = self._open_encoder()
        if max_length is None or (isinstance(max_length, int) and max_length >= whole.max_tokens):
            return whole
        if self._shorter is None or self._shorter.max_tokens != max_length:
            before = self._shorter
            self._shorter = Encoder(self._folder, device=self.device, max_tokens=max_length)
            if before is not None:
                before.close()
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


def _artifact_folder(artifact: str | os.PathLike[str], pooler: str | None) -> Path:
    folder = locate(artifact)
    if (folder / MANIFEST).exists() or not (folder / "config.json").is_file():
        return folder
    raise ArtifactNotFoundError(
        f"{artifact}: is a checkpoint, not an artifact; export it once, and open the result:\n"
        f"  {_export_command(str(artifact), pooler)}"
    )


def _export_command(checkpoint: str, pooler: str | None) -> str:
    repository, _, revision = checkpoint.partition("@") if hub_id_of(checkpoint) is not None else (checkpoint, "", "")
    parts = ["simcse-export", repository, "-o", f"{Path(repository).name}-artifact"]
    parts += ["--revision", revision] if revision else []
    return shlex.join([*parts, "--pooler", pooler] if pooler else parts)


def _sentences(given: object) -> list[str]:
    if not isinstance(given, str | os.PathLike):
        if isinstance(given, list | tuple):
            return list(given)
        raise InputTypeError(f"a list of sentences or a path is wanted, not {type(given).__name__}")
    path = Path(os.fspath(given))
    try:
        # Lines as upstream's text mode has them; utf-8-sig: a byte order mark is no part of the first sentence.
        with path.open(encoding="utf-8-sig") as file:
            return [line.rstrip() for line in file]
    except UnicodeDecodeError as error:
        raise InputValueError(f"{path}: not UTF-8 ({error.reason} at byte {error.start} of a part)") from error
    except OSError as error:
        raise InputValueError(
            f"{path}: cannot be read ({error.strerror}); a str is a path, sentences come as a list"
        ) from error


def _checked_keys(keys: NDArray[Any], dimension: int) -> NDArray[Any]:
    if keys.dtype.kind not in "fiu":
        raise InputTypeError(f"keys are of {keys.dtype}; float32 vectors or a list of sentences are wanted")
    if keys.ndim not in (1, 2) or keys.shape[-1] != dimension:
        raise InputValueError(f"keys are of shape {list(keys.shape)}; [m, {dimension}] or [{dimension}] is wanted")
    return keys


def _remove_folder(folder: str, owner: int) -> None:
    # A forked child ends too, and the folder is not its.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
