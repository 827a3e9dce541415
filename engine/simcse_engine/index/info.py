"""What an index is and holds."""

from dataclasses import dataclass
from pathlib import Path

from .ann.saved import SavedGraph
from .storage.records import About, State


@dataclass(frozen=True, kw_only=True)
class IndexInfo:
    """What an index is and holds.

    Attributes:
        entries: how many there are.
        dead: vectors that were removed or replaced, and take space until `Index.compact`.
        in_graph: how many of the vectors, dead ones too, the saved graph covers; searches scan the rest.
        about: its artifact and dtype.
        size_bytes: the size of all its files.
    """

    entries: int
    dead: int
    in_graph: int
    about: About
    size_bytes: int


def info_of(folder: Path, about: About, state: State) -> IndexInfo:
    """What the index in ``folder`` is and holds."""
    saved = SavedGraph.of(state.graph)
    return IndexInfo(
        entries=state.entries,
        dead=state.deaths,
        in_graph=0 if saved is None or saved.is_outdated(about.dtype) else saved.covered,
        about=about,
        size_bytes=sum(map(_size_of, folder.iterdir())),
    )


def _size_of(path: Path) -> int:
    """A file's size; 0 if a compaction has deleted it meanwhile."""
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
