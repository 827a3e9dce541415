"""The README's tables of search in an index, from the results of `search.py`."""

from collections.abc import Callable, Mapping
from typing import Any

from .tables import MISSING, elsewhere, table, times

Results = Mapping[str, Any]

_SIZES = {"real": "real sentences", "100k": "100,000", "1m": "1,000,000"}
_LABELS = {
    "ours f16": "ours, f16 (the default)",
    "ours i8": "ours, i8",
    "usearch f16": "USearch alone, f16, unscored",
    "usearch i8": "USearch alone, i8, unscored",
    "faiss hnsw, 32 candidates": "FAISS HNSW, f32, 32 candidates",
    "faiss hnsw, 64 candidates": "FAISS HNSW, f32, 64 candidates",
    "faiss hnsw, 128 candidates": "FAISS HNSW, f32, 128 candidates",
    "ours exact": "ours, exact",
    "faiss flat, exact": "FAISS flat, exact",
    "numpy exact": "numpy, exact",
}


def search(results: Results) -> str:
    """Recall and speed of everybody."""
    found = _found(results)
    if not found:
        return MISSING
    rows = []
    for name, label in _LABELS.items():
        cells = []
        for each in found.values():
            recall, rate = each["recall_at_10"].get(name), each["queries_per_second"].get(_timed_as(name, each))
            cells += [f"{recall:.4f}" if recall is not None else "", f"{rate['median']:,.0f}" if rate else ""]
        rows.append((label, *cells))
    columns = (column for size in found for column in (f"{_SIZES[size]}: recall@10", "queries/s"))
    return "\n".join([table(("", *columns), rows), *elsewhere(results, *(f"search-{size}" for size in found))])


def _timed_as(name: str, result: Mapping[str, Any]) -> str:
    """USearch is timed for as many candidates as ours asks it for."""
    timed = (each for each in result["queries_per_second"] if each.startswith(f"{name}, "))
    return next(timed, name) if name.startswith("usearch") else name


def layer(results: Results) -> str:
    """What our layer takes beside USearch alone, and what building and opening take."""
    found = _found(results)
    if not found:
        return MISSING
    rows = []
    for size, each in found.items():
        for dtype, ratios in each["seconds_over_usearch"].items():
            built = each["built"][f"ours {dtype}"]
            opened = built["read_only"]
            rows.append(
                (
                    f"{_SIZES[size]}, {dtype}",
                    times(ratios["scored, without texts"]["ratio"]),
                    times(ratios["all"]["ratio"]),
                    f"{built['build_seconds']:,.1f}",
                    f"{built['vectors_mb']:,.0f} + {built['graph_mb']:,.0f}",
                    f"{1e3 * opened['open_seconds']:.1f}",
                    f"{1e3 * opened['first_search_seconds']:.0f}",
                    f"{opened['anonymous_mb']:.0f}",
                )
            )
    head = (
        "",
        "search over USearch's",
        "with texts",
        "build, s",
        "vectors + graph, MB",
        "open to read, ms",
        "first search, ms",
        "MB of its own",
    )
    return table(head, rows)


def _found(results: Results) -> dict[str, Any]:
    return {size: results[f"search-{size}"] for size in _SIZES if f"search-{size}" in results}


TABLES: dict[str, Callable[[Results], str]] = {"search": search, "search-layer": layer}
