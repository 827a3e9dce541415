"""Index: sentences, metadata and vectors in one folder, and the search in them."""

from .index import Index
from .info import IndexInfo
from .search.hits import Hit

__all__ = ["Hit", "Index", "IndexInfo"]
