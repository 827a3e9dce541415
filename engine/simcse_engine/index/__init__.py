"""Index: sentences, metadata and vectors in one folder, and the search in them."""

from .hits import Hit
from .index import Index, IndexInfo

__all__ = ["Hit", "Index", "IndexInfo"]
