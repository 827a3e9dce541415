"""The questions of the contest: how each is asked, and where its answer goes."""

import inspect
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ..record import write_result
from . import cold_start, latency, lengths, memory, quality, size, threads, versus
from .field import Field

# Each has a `QUESTION` and a `measure`, which takes the field and the question's own options.
FIELD: dict[str, ModuleType] = {
    each.__name__.rpartition(".")[2]: each for each in (versus, latency, lengths, cold_start, memory, quality, threads)
}


def ask(name: str, field: Field, **options: Any) -> None:
    """Ask a question of the field, and write the result."""
    module = FIELD[name]
    figures = module.measure(field, **options)
    parts = [name, *([str(figures["count"])] if "count" in figures else []), field.model.name]
    write_result("-".join(parts), {"question": module.QUESTION, **field.facts()}, figures)


def ask_size(peers: Sequence[str]) -> None:
    """Measure what the peers' environments install, and write the result."""
    write_result("size", {"question": size.QUESTION}, size.measure(peers))


def options_of(name: str) -> dict[str, Any]:
    """A question's own options with their defaults."""
    parameters = inspect.signature(FIELD[name].measure).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}
