"""The tables of search in an index, from the results of `search.recall`, `search.filters` and `choices.exact`."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .tables import MISSING, elsewhere, number, ratio, table

Results = Mapping[str, Any]

REAL = {"docs-6k": "6,000", "docs-20k": "20,000", "docs-100k": "100,000"}
MADE_UP = {"100k": "100,000", "1m": "1,000,000"}
SETS = {**{name: f"{size} real" for name, size in REAL.items()}, **{k: f"{v} made-up" for k, v in MADE_UP.items()}}
_PEERS = {
    "faiss hnsw": "FAISS HNSW",
    "faiss flat": "FAISS flat, exact",
    "hnswlib": "hnswlib",
    "usearch f16": "USearch, f16",
}
AT_OURS, AT_FIXED = "faiss hnsw at our recall", "faiss hnsw at 0.998"


def speeds(results: Results, sets: Mapping[str, str]) -> str:
    """Recall and speed of all contestants in batches, and of one query."""
    measured = measured_of(results, sets)
    if not measured:
        return MISSING
    names = dict.fromkeys(name for each in measured.values() for name in each["queries_per_second"])
    rows = []
    for name in sorted(names, key=lambda name: not name.startswith("ours")):
        cells: list[str] = []
        for each in measured.values():
            recall, one = each["recall_at_10"].get(name), each["one_query_ms"].get(name)
            cells.append("" if recall is None else f"{recall['mean']:.4f}")
            cells += [number(each["queries_per_second"].get(name)), "" if one is None else f"{one['p50']:.2f}"]
        rows.append((_label(name), *cells))
    columns = [column for size in measured for column in (f"{sets[size]}: recall@10", "queries/s", "one query, p50 ms")]
    gone = {f"Absent: {package}: {why}." for each in measured.values() for package, why in each["absent"].items()}
    notes = [line for note in sorted(gone) for line in ("", note)]
    notes += elsewhere(results, *(f"search-{size}" for size in measured))
    return "\n".join([table(("", *columns), rows), *notes])


def over(results: Results) -> str:
    """FAISS's time over that of our default search, in batches and for one query, and two threads over one."""
    measured = measured_of(results, SETS)
    if not measured:
        return MISSING
    rows = []
    for size, each in measured.items():
        ours = default_of(each)
        peers = each["peer_over_ours"][ours]
        cells = [
            ratio(peers[peer][how]) if peer in peers else ""
            for peer in ("faiss flat", AT_OURS, AT_FIXED)
            for how in ("batch", "one")
        ]
        recall = each["recall_at_10"][ours]["mean"]
        threads = ratio(each["queries_of_two_threads_over_one"][ours])
        rows.append((f"{SETS[size]}, {ours.removeprefix('ours, ')}", f"{recall:.4f}", *cells, threads))
    peers = ("FAISS flat", "FAISS HNSW at our recall", "FAISS HNSW at 0.998")
    columns = [column for peer in peers for column in (f"{peer}: batches", "one query")]
    return table(("", "our recall@10", *columns, "two threads over one"), rows)


def built(results: Results) -> str:
    """What building and opening take, and bytes a vector."""
    measured = measured_of(results, SETS)
    if not measured:
        return MISSING
    rows = []
    for size, each in measured.items():
        for name, facts in each["built"].items():
            ours = facts.get(facts.get("default"), {})
            sizes = [
                facts[f"{kind}_bytes_a_vector"] for kind in ("graph", "codes") if f"{kind}_bytes_a_vector" in facts
            ]
            label = f"ours, {facts['default']} by default" if ours else _PEERS[name]
            rows.append(
                (
                    f"{SETS[size]}: {label}",
                    f"{facts['build_cpu_seconds']:,.1f}" if "build_cpu_seconds" in facts else "",
                    " + ".join(f"{size:,.0f}" for size in sizes) or f"{facts['bytes_a_vector']:,.0f}",
                    f"{ours['anonymous_bytes_a_vector']:,.0f} + {ours['mapped_bytes_a_vector']:,.0f}" if ours else "",
                    f"{1e3 * ours['open_seconds']:.1f}" if ours else "",
                    f"{1e3 * ours['first_search_seconds']:.0f}" if ours else "",
                )
            )
    sizes = ("graph (and codes), bytes a vector", "in memory: its own + mapped, bytes a vector")
    return table(("", "build, CPU s", *sizes, "open, ms", "first search, ms"), rows)


def filters(results: Results) -> str:
    """The time of a search under a filter over that of our exact search without one."""
    measured = {size: results[f"filters-{size}"] for size in SETS if f"filters-{size}" in results}
    if not measured:
        return MISSING
    percents = dict.fromkeys(percent for each in measured.values() for percent in each["recall"])
    rows = []
    for percent in percents:
        cells: list[str] = []
        for each in measured.values():
            cells += [ratio(each[f"{how}_over_exact_without"][percent]) for how in ("batch", "one")]
            cells += [f"{1e3 * each['first_seconds'][percent]['median']:,.0f}", f"{each['recall'][percent]:.4f}"]
        rows.append((f"{percent} %", *cells))
    parts = ("batches", "one query", "first use, ms", "recall@10")
    columns = [f"{SETS[size]}: {part}" if not i else part for size in measured for i, part in enumerate(parts)]
    return table(("lets through", *columns), rows)


def exact_or_graph(results: Results) -> str:
    """The time of the ANN graph and of a float32 product over that of exact search by codes."""
    sizes = results["exact"]["sizes"]
    ways = {"graph": "ANN graph", "floats": "float32"}
    counts = next(iter(sizes.values()))
    columns = [
        f"{label}, {count} {'query' if count == '1' else 'queries'}" for label in ways.values() for count in counts
    ]
    rows = [
        (f"{int(size):,}", *(ratio(each[count]["over_codes"][way]) for way in ways for count in counts))
        for size, each in sizes.items()
    ]
    on = results["exact"]
    note = f"{on['machine']['cpu']}, {on['machine']['usable_cpus']} CPUs, {on['measured']}."
    return "\n".join([table(("vectors", *columns), rows), "", note])


def said(results: Results) -> str:
    """Recall and speed beside FAISS in sentences: of the largest real set, and of the largest made-up one."""
    measured = measured_of(results, SETS)
    lines = []
    for sets in (REAL, MADE_UP):
        size = next((size for size in reversed(sets) if size in measured), None)
        if size is None:
            continue
        each = measured[size]
        ours, kind = default_of(each), "sentences" if size in REAL else "made-up vectors in clusters"
        peers = each["peer_over_ours"][ours]
        own = each["recall_at_10"][ours]["mean"]
        found = "finds all of the ten nearest" if ours == "ours, exact" else f"finds {own:.2%} of the ten nearest"
        fast = []
        if "faiss flat" in peers:
            fast.append(f"{peers['faiss flat']['batch']['median']:.2f} times as fast as FAISS's exact index")
        at = AT_FIXED if ours == "ours, exact" else AT_OURS
        if at in peers:
            speed, recall = peers[at]["batch"]["median"], peers[at]["recall"]
            fast.append(f"{speed:.2f} times as fast as FAISS's HNSW graph at a recall of {recall:.4g}")
        where = f"Among {sets[size]} {kind}, the default search, texts included, {found}"
        lines.append(f"{where}, and is in batches of 100 {' and '.join(fast)}." if fast else f"{where}.")
    return " ".join(lines) if lines else MISSING


def _label(name: str) -> str:
    for peer, label in _PEERS.items():
        if name == peer:
            return label
        if name.startswith(f"{peer}, "):
            return f"{label}, {name.removeprefix(f'{peer}, ')} candidates"
    if name.startswith("usearch"):
        return name.replace("usearch", "USearch").replace("of ours", "on our graph, unscored")
    return name.replace("graph", "ANN graph")


def default_of(result: Mapping[str, Any]) -> str:
    """Ours as it searches by default, "ours, exact" or "ours, graph"."""
    return f"ours, {result['built']['ours']['default']}"


def measured_of(results: Results, sets: Mapping[str, str]) -> dict[str, Any]:
    """The results of `search.recall` that there are, by the name of what was searched."""
    return {size: results[f"search-{size}"] for size in sets if f"search-{size}" in results}


TABLES: dict[str, tuple[Callable[[Results], str], tuple[str, ...]]] = {
    "search-real": (partial(speeds, sets=REAL), ()),
    "search-made-up": (partial(speeds, sets=MADE_UP), ()),
    "search-over": (over, ()),
    "search-built": (built, ()),
    "search-filters": (filters, ()),
    "exact-or-graph": (exact_or_graph, ("exact",)),
    "search-said": (said, ()),
    "readme-search": (said, ()),
}
