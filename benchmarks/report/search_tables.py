"""The tables of search in an index, from the results of `search.recall`."""

from collections.abc import Callable, Mapping
from typing import Any

from .tables import MISSING, elsewhere, number, ratio, table

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
    """Recall and speed of all contestants."""
    sizes = _measured(results)
    if not sizes:
        return MISSING
    rows = []
    for name, label in _LABELS.items():
        cells = []
        for each in sizes.values():
            recall, rates = each["recall_at_10"].get(name), each["queries_per_second"]
            # USearch is timed for as many candidates as ours asks it for.
            timed = next((key for key in rates if key.startswith(f"{name}, ")), "") if "usearch" in name else name
            cells += ["" if recall is None else f"{recall:.4f}", number(rates.get(timed))]
        rows.append((label, *cells))
    columns = (column for size in sizes for column in (f"{_SIZES[size]}: recall@10", "queries/s"))
    return "\n".join([table(("", *columns), rows), *elsewhere(results, *(f"search-{size}" for size in sizes))])


def layer(results: Results) -> str:
    """What our layer takes beside USearch alone, and what building and opening take."""
    sizes = _measured(results)
    if not sizes:
        return MISSING
    rows = []
    for size, each in sizes.items():
        for dtype, ratios in each["seconds_over_usearch"].items():
            built = each["built"][f"ours {dtype}"]
            opened = built["read_only"]
            rows.append(
                (
                    f"{_SIZES[size]}, {dtype}",
                    ratio(ratios["scored, without texts"]["ratio"]),
                    ratio(ratios["all"]["ratio"]),
                    f"{built['build_seconds']:,.1f}",
                    f"{built['vectors_mb']:,.0f} + {built['graph_mb']:,.0f}",
                    f"{1e3 * opened['open_seconds']:.1f}",
                    f"{1e3 * opened['first_search_seconds']:.0f}",
                    f"{opened['anonymous_mb']:.0f}",
                )
            )
    times = ("search over USearch's", "with texts", "build, s")
    return table(("", *times, "vectors + graph, MB", "open to read, ms", "first search, ms", "MB of its own"), rows)


def _measured(results: Results) -> dict[str, Any]:
    return {size: results[f"search-{size}"] for size in _SIZES if f"search-{size}" in results}


TABLES: dict[str, tuple[Callable[[Results], str], tuple[str, ...]]] = {
    "search": (search, ()),
    "search-layer": (layer, ()),
}
