"""Stale files: those of earlier states, and what interrupted work has left. Nothing else in the folder is deleted.

A file of a later generation than the database's stays: perhaps an earlier database was put back beside it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from .ann.saved import SavedGraph
from .storage.records import State

# Exactly the names that this engine gives. Compiled with the first use, as who only searches has none.
_VECTORS = r"vectors-([1-9][0-9]{0,14})\.f32"
_GRAPH = r"graph-([1-9][0-9]{0,14})-[0-9a-f]{8}\.usearch"
_UNFINISHED = rf"\.(?:{_VECTORS}|{_GRAPH})\.partial-[a-z0-9_]{{8}}(?:\.lock)?"


def stale_files(folder: Path, state: State, *, begun: int | None = None) -> Iterator[Path]:
    """The files in ``folder`` that the database in ``state`` is done with, for its writer.

    ``begun`` is the generation of a compaction that has ended, well or not.
    """
    saved = SavedGraph.of(state.graph)
    for path in folder.iterdir():
        if match := re.fullmatch(_VECTORS, path.name):
            generation = int(match[1])
            stale = generation < state.generation or (generation == begun != state.generation)
        elif match := re.fullmatch(_GRAPH, path.name):
            # One of this generation is an earlier save, or one that was interrupted before it counted.
            stale = int(match[1]) <= state.generation or int(match[1]) == begun
            stale = stale and not (saved is not None and path.name == saved.file)
        else:
            stale = re.fullmatch(_UNFINISHED, path.name) is not None
        if stale:
            yield path


def next_generation(folder: Path, state: State) -> int:
    """The number of a compaction's files, later than any that lies there."""
    found = [int(match[1]) for path in folder.iterdir() if (match := re.fullmatch(_VECTORS, path.name))]
    return max([state.generation, *found]) + 1
