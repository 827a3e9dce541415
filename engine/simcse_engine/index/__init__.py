"""Index: sentences, metadata and vectors in one folder, and the search in them.

`Index`, `IndexInfo`, `Entry` and `Hit` are public, everything else is private. `index` is the class itself, with its
`contents` and `changes`. `adding` and `writing` lead to the `writer`, with `batches` that are committed as `rows` and
the `upkeep` of the files, which are `stale` at last; `made` takes a new index back, and `binding` ties one to its
artifact. `asking` takes queries. `storage` holds what is on disk, `ann` the approximate nearest neighbours, and
`search` leads from a query to its hits. `walk` goes over all entries. `filling` adds what a file holds, for the command
line, `copying` makes a copy, `info` counts, and `checks` and `limits` say what may be asked.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .index import Index
    from .info import IndexInfo
    from .search.hits import Hit
    from .storage.records import Entry

__all__ = ["Entry", "Hit", "Index", "IndexInfo"]

_MODULES = {"Entry": ".storage.records", "Hit": ".search.hits", "Index": ".index", "IndexInfo": ".info"}


def __getattr__(name: str) -> Any:
    """Import what is public with its first use: `--help` reads names of this folder, and needs no database."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)
