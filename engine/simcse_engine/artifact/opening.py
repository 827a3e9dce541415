"""An artifact's folder opened: its manifest read, and every file checked against it before anything runs."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import ArtifactError
from .manifest import WEIGHTS, Manifest


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
            yield manifest
        finally:
            with as_artifact_error(folder):
                weights.result()


@contextlib.contextmanager
def as_artifact_error(folder: Path) -> Iterator[None]:
    """Translate the system's refusals to read into `ArtifactError`."""
    try:
        yield
    except OSError as error:
        raise ArtifactError(f"{error.filename or folder}: cannot be read ({error.strerror})") from error
