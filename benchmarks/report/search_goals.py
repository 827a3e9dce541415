"""What search in an index should reach, beside what the results say, and what kills have come to."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .search_tables import AT_FIXED, AT_OURS, REAL, SETS, default_of, measured_of
from .tables import MISSING, ratio, table

Results = Mapping[str, Any]

# How a search is done by each of two threads, by its name in the results.
_THREADED = {
    "ours, exact": "exact, where the one has both processors",
    "ours, exact, on one processor": "exact, where the one has one processor",
    "ours, graph": "in the ANN graph",
}


def goals(results: Results) -> str:
    """What search reaches, beside what it should."""
    rows = [*_reached(measured_of(results, SETS)), *_filtered(results), *_killed(results)]
    return table(("", "reached", "goal"), rows) if rows else MISSING


def _reached(measured: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for size, each in measured.items():
        ours, what = default_of(each), SETS[size]
        recall, exact = each["recall_at_10"][ours], ours == "ours, exact"
        yield f"{what}: recall@10 by default", f"{recall['mean']:.4f}", "1" if exact else "≥ 0.998"
        peers = each["peer_over_ours"]
        if "faiss flat" in peers["ours, exact"] and size in REAL:
            flat = peers["ours, exact"]["faiss flat"]["batch"]
            yield f"{what}: exact search's speed over FAISS flat's, batches", ratio(flat), "≥ 1.5"
        hnsw = peers[ours].get(AT_FIXED if exact else AT_OURS)
        if hnsw is not None and size not in ("docs-6k", "docs-20k"):
            at = f"at {hnsw['recall']:.4f}" + (", ours exact" if exact else "")
            yield f"{what}: speed over FAISS HNSW's {at}, batches", ratio(hnsw["batch"]), "≥ 1.1"
        if size == "docs-100k":
            yield f"{what}: one query, p50", f"{each['one_query_ms'][ours]['p50']:.2f} ms", "≤ 1.5 ms"
            threads = each["queries_of_two_threads_over_one"]
            for name, how in _THREADED.items():
                if name in threads:
                    yield f"{what}: searches by two threads over one's, {how}", ratio(threads[name]), "≥ 1.8"
        if size in ("docs-100k", "1m"):
            facts, graph = each["built"]["ours"], 0 if exact else each["built"]["ours"]["graph_bytes_a_vector"]
            held = facts["exact" if exact else "graph"]["anonymous_bytes_a_vector"] + graph
            yield f"{what}: bytes a vector in memory beside the vectors' file", f"{held:,.0f}", "≤ 700"


def _filtered(results: Results) -> Iterator[tuple[str, str, str]]:
    for size, what in SETS.items():
        if f"filters-{size}" in results:
            over = results[f"filters-{size}"]["batch_over_exact_without"]
            worst = max((name for name in over if name != "none"), key=lambda name: over[name]["median"])
            text = f"{what}: the slowest filter ({worst} %) over exact search without one, batches"
            yield text, ratio(over[worst]), "≤ 1.3"


def _killed(results: Results) -> Iterator[tuple[str, str, str]]:
    if "kills" in results:
        kills = results["kills"]
        yield f"lost of what was acknowledged, {kills['kills']:,} writers killed", f"{kills['lost']}", "0"


def kills(results: Results) -> str:
    """What was done to writers, and what came of it, in sentences."""
    result = results["kills"]
    names = {"add": "additions", "remove": "removals", "remove-where": "removals by filter"}
    names |= {"update": "changes of metadata", "checkpoint": "saves", "compact": "compactions", "open": "openings"}

    def counted(calls: Mapping[str, int]) -> str:
        return ", ".join(f"{calls[what]:,} {name}" for what, name in names.items() if what in calls)

    interrupted, acknowledged = counted(result["interrupted"]), counted(result["acknowledged"])
    lost = "nothing" if result["lost"] == 0 else f"{result['lost']:,} entries"
    return (
        f"{result['kills']:,} writers were killed at random moments, in the middle of {interrupted}. "
        f"Of what was acknowledged ({acknowledged}) {lost} was lost. {result['machine']['cpu']}, {result['measured']}."
    )


TABLES: dict[str, tuple[Callable[[Results], str], tuple[str, ...]]] = {
    "search-goals": (goals, ()),
    "kills": (kills, ("kills",)),
}
