"""An artifact's folder opened: its manifest read, and every file checked against it before anything runs."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import ArtifactError, IntegrityError
from .manifest import GRAPH, WEIGHTS, Manifest
from .protobuf import UnreadableGraphError
from .references import files_named


def open_artifact(folder: Path) -> Manifest:
    """Read the manifest of the artifact in ``folder`` and check every file against it, or raise ArtifactError."""
    with loading_artifact(folder) as manifest:
        return manifest


@contextlib.contextmanager
def loading_artifact(folder: Path) -> Iterator[Manifest]:
    """As `open_artifact`, for a block that loads the files: the weights are hashed while it runs.

    They are nearly all of the bytes, and hashing them takes as long as loading them. All else, which is what parsers
    see, is checked before the block begins. An ArtifactError at the block's end replaces whatever the block met in
    altered weights.
    """
    with as_artifact_error(folder):
        manifest = Manifest.read(folder)
        manifest.check_sizes(folder)
    with ThreadPoolExecutor(1) as pool:
        weights = pool.submit(manifest.check_content, folder, [WEIGHTS])
        try:
            with as_artifact_error(folder):
                manifest.check_content(folder, [name for name in manifest.files if name != WEIGHTS])
                for graph in (GRAPH, *(plan.graph for plan in manifest.engines.values())):
                    _check_references(folder / graph, manifest)
            yield manifest
        finally:
            with as_artifact_error(folder):
                weights.result()


def _check_references(graph: Path, manifest: Manifest) -> None:
    """Raise IntegrityError if a graph refers to another file than the artifact's own, whose digests are known.

    The files themselves may be links, as all are in the hub's cache: their content is what the manifest says.
    """
    try:
        foreign = files_named(graph.read_bytes()) - {name.encode() for name in manifest.files}
    except UnreadableGraphError as error:
        raise IntegrityError(f"{graph}: is no ONNX graph ({error}); export again") from error
    if foreign:
        raise IntegrityError(
            f"{graph}: refers to {str(min(foreign))[1:]:.80}, which is no file of this artifact; do not trust "
            "its source, and export again"
        )


@contextlib.contextmanager
def as_artifact_error(folder: Path) -> Iterator[None]:
    """Translate the system's refusals to read into `ArtifactError`."""
    try:
        yield
    except OSError as error:
        raise ArtifactError(f"{error.filename or folder}: cannot be read ({error.strerror})") from error
