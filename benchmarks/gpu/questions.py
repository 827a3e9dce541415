"""How each question is answered."""

from collections.abc import Callable, Mapping
from typing import Any

from . import bulk, callers, checks, sizes, spelled
from .field import Field

ASK: Mapping[str, Callable[[Field], dict[str, Any]]] = {
    "checks": checks.everything,
    "texts": bulk.texts,
    "ids": bulk.ids,
    "lengths": bulk.lengths,
    "one": callers.one,
    "memory": checks.memory,
    "compiled": bulk.compiled,
    "further-compiled": bulk.further_compiled,
    "callers": callers.several,
    "spellings": spelled.spellings,
    "batches": sizes.batches,
    "sessions": sizes.sessions,
    "recorded": sizes.recorded,
}
