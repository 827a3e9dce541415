"""Index: sentences, metadata and vectors in one folder, and the search in them."""

from .index import Hit, Index, IndexInfo

__all__ = ["Hit", "Index", "IndexInfo"]
