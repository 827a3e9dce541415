"""The tables of the engine behind HTTP, from the results of `serve`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .charts import CHARTS
from .tables import MISSING, number, ratio, table

Results = Mapping[str, Any]

LABELS = {
    "ours-int8": "ours, INT8",
    "infinity-server": "Infinity",
    "fastapi": "FastAPI + sentence-transformers",
}
# Connections whose waits the table shows.
_CROWD = "64"
_SHARES = ("0.1", "0.3", "0.5", "0.7", "0.9", "1")
_PEER_GOALS = {"infinity-server": 3, "fastapi": 10}


def services(results: Results) -> str:
    """Requests a second of each service, and their waits on many connections."""
    result = results["serve-short"]
    at = result["connections"]
    if _CROWD not in at:
        return MISSING
    crowd = at[_CROWD]
    rows = []
    for name in (name for name in LABELS if name in crowd["requests_per_second"]):
        waits = crowd["ms"][name]
        rows.append(
            (
                LABELS[name],
                *(number(each["requests_per_second"].get(name)) for each in at.values()),
                *(f"{waits[p]:.1f}" for p in ("p50", "p99", "p99.9")),
                ratio(crowd["ours_over_peer"].get(name)),
            )
        )
    counts = [f"{count} connection{'s' * (count != '1')}, requests/s" for count in at]
    waits = [f"{p} ms on {_CROWD}" for p in ("p50", "p99", "p99.9")]
    lines = [table(("", *counts, *waits, f"ours over it on {_CROWD}"), rows)]
    chosen = [f"{LABELS[name]}: {facts['setting']}" for name, facts in result["services"].items() if "setting" in facts]
    if chosen:
        lines += ["", f"Best settings: {'; '.join(chosen)}."]
    lines += [line for name, why in result["absent"].items() for line in ("", f"Absent: {LABELS[name]}: {why}.")]
    return "\n".join(lines)


def load(results: Results) -> str:
    """The plot, and what requests wait at each share of a service's capacity."""
    result = results["serve-offered"]
    shares = [share for share in _SHARES if share in next(iter(result["offered"].values()))]
    rows = []
    for name in (name for name in LABELS if name in result["offered"]):
        loads = result["offered"][name]
        waits = [loads[share]["ms"] for share in shares]
        cells = (" / ".join(f"{at[p]:,.1f}" for p in ("p50", "p99")) if at else "" for at in waits)
        late = max(at["generator"]["lag_ms"]["p99"] for at in loads.values())
        rows.append((LABELS[name], f"{result['capacity_per_second'][name]:,.0f}", *cells, f"{late:.1f}"))
    columns = [f"at {float(share):.0%}" for share in shares]
    head = ("ms, p50 / p99, by the share of what it can do", "it can do, requests/s", *columns, "generator late, p99")
    return "\n".join([f"![{CHARTS['serving'][1]}](assets/serving.svg)", "", table(head, rows)])


def goals(results: Results) -> str:
    """What the server reaches, beside what it should."""
    rows = [row for name, line in _GOALS.items() if name in results for row in line(results[name])]
    return table(("", "reached", "goal"), rows) if rows else MISSING


def _short(result: Any) -> Iterator[tuple[str, str, str]]:
    for name, over in result["connections"].get(_CROWD, {"ours_over_peer": {}})["ours_over_peer"].items():
        what = f"one short sentence a request, {_CROWD} connections: requests/s over those of {LABELS[name]}"
        yield what, ratio(over), f"≥ {_PEER_GOALS[name]}"


def _batches(result: Any) -> Iterator[tuple[str, str, str]]:
    for name, share in result["over_offline"].items():
        what = f"{result['sentences_a_request']} sentences a request, {name}: sentences/s over offline bulk work"
        yield what, ratio(share), f"≥ {result['goal']['over_offline']:g}"


def _alone(result: Any) -> Iterator[tuple[str, str, str]]:
    for name, added in result["p50_ms_added"].items():
        what = f"a lone request's p50, {name}, over Encoder.encode's ({result['ms']['Encoder.encode']['p50']:.2f} ms)"
        yield what, f"{added:+.2f} ms", f"≤ +{result['goal']['p50_ms_added']:g} ms"


def _offered(result: Any) -> Iterator[tuple[str, str, str]]:
    goal = result["goal"]["p99_at_half_load_over_the_lone_p50"]
    for name, over in result["p99_at_half_load_over_the_lone_p50"].items():
        lone, ours = result["alone_ms"][name]["p50"], name.startswith("ours")
        what = f"{LABELS[name]}: p99 at half load over the lone request's p50 ({lone:.2f} ms)"
        yield what, f"{over:.1f}", f"≤ {goal:g}" if ours else ""


def _overload(result: Any) -> Iterator[tuple[str, str, str]]:
    goals, memory = result["goals"], result["memory_mb"]
    load = f"{result['offered_per_second'] / result['capacity_per_second']:.0f} times the capacity for "
    load += f"{result['seconds']:g} s"
    yield f"{load}: statuses", ", ".join(f"{k}: {n:,}" for k, n in result["statuses"].items()), "200 and 429"
    yield "… p99 of the accepted", f"{result['ms']['p99']:,.0f} ms", ""
    recovery = result["recovery_seconds"]
    reached = "not seen" if recovery is None else f"{recovery:.2f} s"
    yield "… until a lone request is as fast as before", reached, f"≤ {goals['recovery_seconds']:g} s"
    after = f"{memory['after']:.0f} MB after {memory['before']:.0f}"
    yield "… memory", after, f"≤ {goals['memory_over_before']:g} times"


def _drain(result: Any) -> Iterator[tuple[str, str, str]]:
    seconds = result["seconds"]
    yield (
        "from SIGTERM under load to the end, and accepted requests lost",
        f"{seconds['median']:.2f} s ({seconds['min']:.2f} to {seconds['max']:.2f}), {result['under_way_and_lost']}",
        "none lost",
    )


def _mixed(result: Any) -> Iterator[tuple[str, str, str]]:
    vectors, precision = result["vectors"], result["precision"].upper()
    what = f"{result['seconds'] / 60:g} minutes of mixed load, {precision}"
    yield f"{what}: wrong vectors", f"{vectors['wrong']:,} of {vectors['vectors']:,}", "0"
    if precision == "INT8":
        yield f"{what}: peak memory", f"{result['memory_mb']['peak']:.0f} MB", f"≤ {result['goal']['peak_mb']} MB"


def _kills(result: Any) -> Iterator[tuple[str, str, str]]:
    what = f"kill -9 while `/add` is answered, {result['kills']:,} times: acknowledged entries lost"
    yield what, f"{result['lost']} of {result['acknowledged']:,}", "0"


def readme_serve(results: Results) -> str:
    """The lead over the peers in a sentence."""
    result = results["serve-short"]
    at = result["connections"]
    if _CROWD not in at:
        return MISSING
    over = at[_CROWD]["ours_over_peer"]
    leads = " and ".join(f"{each['median']:.1f} times as many as {LABELS[name]}" for name, each in over.items())
    per_second = at[_CROWD]["requests_per_second"]["ours-int8"]["median"]
    return (
        f"On {_CROWD} connections, a sentence a request, MiniLM in INT8 answers {per_second:,.0f} requests per second, "
        f"{leads}, the load's own work on the same cores included."
    )


_GOALS: dict[str, Callable[[Any], Iterator[tuple[str, str, str]]]] = {
    "serve-short": _short,
    "serve-batches": _batches,
    "serve-alone": _alone,
    "serve-offered": _offered,
    "serve-overload": _overload,
    "serve-mixed-int8": _mixed,
    "serve-mixed-fp32": _mixed,
    "serve-drain": _drain,
    "serve-kills": _kills,
}

TABLES: dict[str, tuple[Callable[[Results], str], tuple[str, ...]]] = {
    "serve": (services, ("serve-short",)),
    "serve-load": (load, ("serve-offered",)),
    "serve-goals": (goals, ()),
    "readme-serve": (readme_serve, ("serve-short",)),
}
