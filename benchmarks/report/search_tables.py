"""The tables of search in an index, from the results of `search.recall`, `search.filters` and `search.kills`."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from .tables import MISSING, elsewhere, number, ratio, table

Results = Mapping[str, Any]

_REAL = {"docs-6k": "6,000", "docs-20k": "20,000", "docs-100k": "100,000"}
_MADE_UP = {"100k": "100,000", "1m": "1,000,000"}
_SETS = {**{name: f"{size} real" for name, size in _REAL.items()}, **{k: f"{v} made-up" for k, v in _MADE_UP.items()}}
_PEERS = {
    "faiss hnsw": "FAISS HNSW",
    "faiss flat": "FAISS flat, exact",
    "hnswlib": "hnswlib",
    "usearch f16": "USearch, f16",
}
_AT_OURS, _AT_FIXED = "faiss hnsw at our recall", "faiss hnsw at 0.998"


def speeds(results: Results, sets: Mapping[str, str]) -> str:
    """Recall and speed of all contestants in batches, and of one query."""
    measured = _measured(results, sets)
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
    return "\n".join([table(("", *columns), rows), *elsewhere(results, *(f"search-{size}" for size in measured))])


def over(results: Results) -> str:
    """FAISS's time over that of our default search, in batches and for one query, and two threads over one."""
    measured = _measured(results, _SETS)
    if not measured:
        return MISSING
    rows = []
    for size, each in measured.items():
        ours = _default(each)
        peers = each["peer_over_ours"][ours]
        cells = [
            ratio(peers[peer][how]) if peer in peers else ""
            for peer in ("faiss flat", _AT_OURS, _AT_FIXED)
            for how in ("batch", "one")
        ]
        recall = each["recall_at_10"][ours]["mean"]
        threads = ratio(each["queries_of_two_threads_over_one"][ours])
        rows.append((f"{_SETS[size]}, {ours.removeprefix('ours, ')}", f"{recall:.4f}", *cells, threads))
    peers = ("FAISS flat", "FAISS HNSW at our recall", "FAISS HNSW at 0.998")
    columns = [column for peer in peers for column in (f"{peer}: batches", "one query")]
    return table(("", "our recall@10", *columns, "two threads over one"), rows)


def built(results: Results) -> str:
    """What building and opening take, and bytes a vector."""
    measured = _measured(results, _SETS)
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
                    f"{_SETS[size]}: {label}",
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
    measured = {size: results[f"filters-{size}"] for size in _SETS if f"filters-{size}" in results}
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
    columns = [f"{_SETS[size]}: {part}" if not i else part for size in measured for i, part in enumerate(parts)]
    return table(("lets through", *columns), rows)


def goals(results: Results) -> str:
    """What search reaches, beside what it should."""
    rows = [*_reached(_measured(results, _SETS)), *_filtered(results), *_killed(results)]
    return table(("", "reached", "goal"), rows) if rows else MISSING


def _reached(measured: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for size, each in measured.items():
        ours, what = _default(each), _SETS[size]
        recall, exact = each["recall_at_10"][ours], ours == "ours, exact"
        yield f"{what}: recall@10 by default", f"{recall['mean']:.4f}", "1" if exact else "≥ 0.998"
        peers = each["peer_over_ours"]
        if "faiss flat" in peers["ours, exact"] and size in _REAL:
            flat = peers["ours, exact"]["faiss flat"]["batch"]
            yield f"{what}: exact search's speed over FAISS flat's, batches", ratio(flat), "≥ 1.5"
        hnsw = peers[ours].get(_AT_FIXED if exact else _AT_OURS)
        if hnsw is not None and size not in ("docs-6k", "docs-20k"):
            at = f"at {hnsw['recall']:.4f}" + (", ours exact" if exact else "")
            yield f"{what}: speed over FAISS HNSW's {at}, batches", ratio(hnsw["batch"]), "≥ 1.1"
        if size == "docs-100k":
            yield f"{what}: one query, p50", f"{each['one_query_ms'][ours]['p50']:.2f} ms", "≤ 1.5 ms"
            threads = each["queries_of_two_threads_over_one"][ours]
            yield f"{what}: searches by two threads over one's", ratio(threads), "≥ 1.8"
            facts = each["built"]["ours"]
            held = facts["graph"]["anonymous_bytes_a_vector"] + facts["graph_bytes_a_vector"]
            yield f"{what}: bytes a vector in memory with the ANN graph", f"{held:,.0f}", "≤ 700"


def _filtered(results: Results) -> Iterator[tuple[str, str, str]]:
    for size, what in _SETS.items():
        if f"filters-{size}" in results:
            over = results[f"filters-{size}"]["batch_over_exact_without"]
            worst = max((name for name in over if name != "none"), key=lambda name: over[name]["median"])
            text = f"{what}: the slowest filter ({worst} %) over exact search without one, batches"
            yield text, ratio(over[worst]), "≤ 1.3"


def _killed(results: Results) -> Iterator[tuple[str, str, str]]:
    if "kills" in results:
        kills = results["kills"]
        yield f"lost of what was acknowledged, {kills['kills']:,} writers killed", f"{kills['lost']}", "0"


def said(results: Results) -> str:
    """Recall and speed beside FAISS in sentences: of the largest real set, and of the largest made-up one."""
    measured = _measured(results, _SETS)
    lines = []
    for sets in (_REAL, _MADE_UP):
        size = next((size for size in reversed(sets) if size in measured), None)
        if size is None:
            continue
        each = measured[size]
        ours, kind = _default(each), "sentences" if size in _REAL else "made-up vectors in clusters"
        peers = each["peer_over_ours"][ours]
        own = each["recall_at_10"][ours]["mean"]
        found = "finds all of the ten nearest" if ours == "ours, exact" else f"finds {own:.2%} of the ten nearest"
        fast = []
        if "faiss flat" in peers:
            fast.append(f"{peers['faiss flat']['batch']['median']:.2f} times as fast as FAISS's exact index")
        at = _AT_FIXED if ours == "ours, exact" else _AT_OURS
        if at in peers:
            speed, recall = peers[at]["batch"]["median"], peers[at]["recall"]
            fast.append(f"{speed:.2f} times as fast as FAISS's HNSW graph at a recall of {recall:.4g}")
        where = f"Among {sets[size]} {kind}, the default search, texts included, {found}"
        lines.append(f"{where}, and is in batches of 100 {' and '.join(fast)}." if fast else f"{where}.")
    return "\n".join(lines) if lines else MISSING


def _label(name: str) -> str:
    for peer, label in _PEERS.items():
        if name == peer:
            return label
        if name.startswith(f"{peer}, "):
            return f"{label}, {name.removeprefix(f'{peer}, ')} candidates"
    if name.startswith("usearch"):
        return name.replace("usearch", "USearch").replace("of ours", "on our graph, unscored")
    return name.replace("graph", "ANN graph")


def _default(result: Mapping[str, Any]) -> str:
    return f"ours, {result['built']['ours']['default']}"


def _measured(results: Results, sets: Mapping[str, str]) -> dict[str, Any]:
    return {size: results[f"search-{size}"] for size in sets if f"search-{size}" in results}


TABLES: dict[str, tuple[Callable[[Results], str], tuple[str, ...]]] = {
    "search-real": (partial(speeds, sets=_REAL), ()),
    "search-made-up": (partial(speeds, sets=_MADE_UP), ()),
    "search-over": (over, ()),
    "search-built": (built, ()),
    "search-filters": (filters, ()),
    "search-goals": (goals, ()),
    "search-said": (said, ()),
    "readme-search": (said, ()),
}
