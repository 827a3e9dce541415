"""The tables of docs/decisions/038-hybrid-search.md, from the results of `search.hybrid`."""

from collections.abc import Callable, Mapping
from typing import Any

from .tables import table

Results = Mapping[str, Any]


def modes(results: Results) -> str:
    """What each mode finds, by how items are sought, and its CPU time."""
    result = results["hybrid"]
    rows = [
        (
            f"{kind}, {result['queries'][kind]:,} queries: {mode}",
            *(f"{each[measure]:.3f}" for measure in ("recall_at_1", "recall_at_10", "mrr_at_10")),
            f"{each['cpu_ms']:.1f}",
        )
        for kind, of_kind in result["modes"].items()
        for mode, each in of_kind.items()
    ]
    head = ("sought by", "recall@1", "recall@10", "MRR@10", "CPU ms a query")
    about = f"{result['items']}. {result['machine']['cpu']}, {result['measured']}."
    return "\n".join([table(head, rows), "", about])


def joined(results: Results) -> str:
    """MRR and recall of ways to join both rankings, by how items are sought."""
    by_kind = results["hybrid"]["joined"]
    ways = list(next(iter(by_kind.values())))
    rows = [
        (way, *(f"{each[way]['mrr_at_10']:.3f}, {each[way]['recall_at_10']:.3f}" for each in by_kind.values()))
        for way in ways
    ]
    return table(("MRR@10, recall@10", *by_kind), rows)


TABLES: dict[str, tuple[Callable[[Results], str], tuple[str, ...]]] = {
    "hybrid": (modes, ("hybrid",)),
    "hybrid-joined": (joined, ("hybrid",)),
}
