"""Index: sentences, metadata and vectors in one folder, and the search in them.

`Index`, `IndexInfo` and `Hit` are public, everything else is private. `index` is the class itself and `writer` what
changes it, with `batches` that are committed and the `upkeep` of the files; `binding` ties an index to its artifact.
`storage` holds what is on disk, `ann` the approximate nearest neighbours, and `search` leads from a query to its hits.
`filling` adds what a file holds, for the command line.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .index import Index
    from .info import IndexInfo
    from .search.hits import Hit

__all__ = ["Hit", "Index", "IndexInfo"]


def __getattr__(name: str) -> Any:
    """Import what is public with its first use: `--help` reads names of this folder, and needs no database."""
    if name == "Index":
        from .index import Index

        return Index
    if name == "IndexInfo":
        from .info import IndexInfo

        return IndexInfo
    if name == "Hit":
        from .search.hits import Hit

        return Hit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
