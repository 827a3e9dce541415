"""The tables of the notes on an index, from the results of `choices.graph`, `walk`, `exact` and `filters`."""

from collections.abc import Callable, Mapping
from typing import Any

from .tables import table

Results = Mapping[str, Any]

_WIDTHS = ("128", "192", "256")
_FILTERS = {"4 %, equal": "4 % equal a value", "20 %, a range": "20 % in a range", "60 %, a range": "60 % in a range"}


def variants(results: Results) -> str:
    """What links and candidates cost and find."""
    rows = []
    for name, each in results["graph"]["variants"].items():
        by_width = [each["by_width"][width] for width in _WIDTHS]
        rows.append(
            (
                f"`{name}`" if name == "f16" else name,
                f"{each['over_ours']['median']:.2f} ({each['cpu_seconds']['median']:.1f} s)",
                f"{each['bytes_a_vector']:,.0f}",
                *(f"{width['recall_at_10']:.4f}, {width['search_cpu_us_a_query']:.0f}" for width in by_width),
            )
        )
    columns = [f"{width} candidates: recall@10, CPU µs a query" for width in _WIDTHS]
    return _with_machine(table(("", "build, CPU over ours", "bytes a vector", *columns), rows), results["graph"])


def rounding(results: Results) -> str:
    """The share of the ten nearest among the best 20 by rounded numbers, by scale."""
    kinds = results["graph"]["rounding"]
    scales = list(next(iter(kinds.values())))
    rows = [(kind, *(f"{of_scale[scale]['20']:.3f}" for scale in scales)) for kind, of_scale in kinds.items()]
    return table(("", *scales), rows)


def walk(results: Results) -> str:
    """Our own search of an ANN graph beside USearch's."""
    rows, columns = [], ("vectors", "candidates", "recall@10, USearch and ours", "USearch, CPU µs a query")
    variants: list[str] = []
    for name, facts in results["walk"]["data"].items():
        for width in _WIDTHS:
            (_, usearch), *ours = facts["by_width"][width].items()
            variants = [variant for variant, _ in ours]
            recalls = (usearch["recall_at_10"], min(each["recall_at_10"] for _, each in ours))
            cells = (f"{each['cpu_us_a_query']:.0f}, {each['usearch_over_this']['median']:.2f}" for _, each in ours)
            found = ", ".join(f"{recall:.4f}" for recall in recalls)
            rows.append((f"`{name}`", width, found, f"{usearch['cpu_us_a_query']:.0f}", *cells))
    head = (*columns, *(f"`{variant}`, and USearch over it" for variant in variants))
    return _with_machine(table(head, rows), results["walk"])


def codes(results: Results) -> str:
    """What codes cost, and what they leave to be compared by vectors."""
    rows = [
        (
            f"{int(size):,}",
            f"{facts['cpu_seconds']:.2f}",
            f"{facts['bytes_a_vector']:.0f}",
            f"{facts['left_a_query']:.0f}",
        )
        for size, facts in results["exact"]["coding"].items()
    ]
    return table(("vectors", "to code, CPU s", "bytes a vector", "left of a query for ten hits"), rows)


def filters(results: Results) -> str:
    """The first use of a filter, as it is and by an SQLite index on its field."""
    first, added = results["filters"]["first_use_ms"], results["filters"]["add_ms"]
    rows = [
        (f"first use, {text}", f"{first[name]['median']:.0f}", f"{first[f'{name}, indexed']['median']:.0f}")
        for name, text in _FILTERS.items()
    ]
    rows.append(
        ("SQLite's part of adding them", f"{added['plain']['median']:.0f}", f"{added['indexed']['median']:.0f}")
    )
    return _with_machine(table(("", "as it is", "with an index"), rows), results["filters"])


def _with_machine(text: str, result: Mapping[str, Any]) -> str:
    return f"{text}\n\n{result['machine']['cpu']}, {result['machine']['usable_cpus']} CPUs, {result['measured']}."


TABLES: dict[str, tuple[Callable[[Results], str], tuple[str, ...]]] = {
    "graph-variants": (variants, ("graph",)),
    "graph-rounding": (rounding, ("graph",)),
    "graph-walk": (walk, ("walk",)),
    "codes": (codes, ("exact",)),
    "filter-indexes": (filters, ("filters",)),
}
