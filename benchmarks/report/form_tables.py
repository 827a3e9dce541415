"""The tables about forms of vectors, from the results of `choices.forms`."""

from collections.abc import Callable, Mapping
from typing import Any

from .tables import table

Results = Mapping[str, Any]

# What a number takes, in bytes. "binary" has the bits of "ubinary".
_BYTES = {"float32": 4.0, "float16": 2.0, "int8": 1.0, "uint8": 1.0, "ubinary": 1 / 8}
_LABELS = {"ubinary": "bits"}


def forms(results: Results) -> str:
    """Spearman and bytes of each form, by dimensions."""
    rows = [
        (
            f"{int(dimensions):,}",
            *(f"{scores[dtype]['average']:.2f}, {int(dimensions) * size:g} B" for dtype, size in _BYTES.items()),
        )
        for dimensions, scores in results["forms"]["forms"].items()
    ]
    head = ("dimensions", *(_LABELS.get(dtype, dtype) for dtype in _BYTES))
    return "\n".join([table(head, rows), "", _about(results["forms"])])


def schemes(results: Results) -> str:
    """Spearman of ways to make 8 bits, and of float32."""
    result = results["forms"]
    whole = next(iter(result["forms"].values()))
    scored = {"float32": whole["float32"], **result["int8"]}
    tasks = (*result["pairs"], "average")
    rows = [(name, *(f"{scores[task]:.2f}" for task in tasks)) for name, scores in scored.items()]
    return "\n".join([table(("", *tasks), rows), "", _about(result)])


def _about(result: Mapping[str, Any]) -> str:
    tasks = ", ".join(f"{name} ({pairs:,} pairs)" for name, pairs in result["pairs"].items())
    return f"Spearman x 100 of {result['checkpoint']}, pooler {result['pooler']}: {tasks}. {result['measured']}."


TABLES: dict[str, tuple[Callable[[Results], str], tuple[str, ...]]] = {
    "forms": (forms, ("forms",)),
    "forms-int8": (schemes, ("forms",)),
}
