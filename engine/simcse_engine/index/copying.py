"""Copying: an index into another folder, where it is the same index."""

import contextlib
import shutil
from pathlib import Path

from ..encoder import Encoder
from ..files.atomic import whole_folder
from .ann.saved import SavedGraph
from .index import Index
from .storage.regular import check_regular
from .storage.store import DATABASE
from .storage.vectors import vector_file_name


def copy_index(source: Path, target: Path, artifact: Encoder) -> None:
    """Copy an index of ``artifact``, which nobody writes meanwhile; the copy appears whole or not at all.

    Raises:
        IndexLockedError: it is open for writing elsewhere.
        OutputError: ``target`` exists, or cannot be written.
    """
    with (
        whole_folder(target) as staging,
        # Keeps writers off, who might delete the files.
        Index.open(source, read_only=False, artifact=artifact) as index,
        index._store.reading() as reader,
    ):
        reader.copy_database(staging / DATABASE, target)
        state = reader.state()
        _copy_file(vector_file_name(state.generation), source, staging)
        saved = SavedGraph.of(state.graph)
        if saved is not None:
            # It can be built again, and opening says so.
            with contextlib.suppress(FileNotFoundError):
                _copy_file(saved.file, source, staging)


def _copy_file(name: str, source: Path, target: Path) -> None:
    check_regular(source / name)
    shutil.copyfile(source / name, target / name)
