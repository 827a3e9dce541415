"""The tables of README.md and docs/benchmarks.md: Markdown from results."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from .charts import memories
from .labels import LABELS

Results = Mapping[str, Any]

DASH = "–"
MISSING = "*Not measured yet; `make bench` does it.*"
_README_ROWS = ("ours-int8", "ours-bf16", "ctranslate2-int8", "openvino-int8", "sentence-transformers-fp32")


def readme(results: Results) -> str:
    """Ours, the two nearest peers and the usual library; a dash where there is no figure."""
    rates, starts = results["versus-minilm"]["bulk_sentences_per_second"], results["cold_start-minilm"]["seconds"]
    rows = []
    for name in _README_ROWS:
        quality = results["quality-minilm"]["quality"].get(name)
        cells = (
            number(rates.get(name)),
            number(starts.get(name, {}).get("first_vector"), factor=1e3),
            installed(name, results["size"]),
            f"{quality['sts']['average']:.2f}" if quality and quality["sts"] else "",
            drift(quality) if quality else "",
        )
        rows.append((LABELS[name], *(cell or DASH for cell in cells)))
    return table(("", "sentences/s", "first vector, ms", "installed, MB", "STS", "moved by its batch"), rows)


def speed(results: Results, model: str) -> str:
    bulk, latency = results[f"versus-{model}"], results.get(f"latency-{model}", {})
    rates, shares = bulk["bulk_sentences_per_second"], bulk["share_of_peak"]
    waits = latency.get("one_sentence_ms", {})
    without = bulk.get("bulk_without_kernels_over_ours", {}).get("ours-int8")
    ratios = {**bulk["bulk_ours_over_peer"].get("ours-int8", {}), "ours-int8-without-kernels": without}
    ratios_of_one = latency.get("p50_peer_over_ours", {}).get("ours-int8", {})
    rows = [
        (
            LABELS[name],
            number(rates[name]),
            f"{shares[name]['share']['median']:.0%} of {shares[name]['of_peak']}",
            ratio(ratios.get(name)),
            *(f"{waits[name][p]:.1f}" if name in waits else "" for p in ("p50", "p99", "p99.9")),
            ratio(ratios_of_one.get(name)),
        )
        for name in sorted(rates, key=lambda name: -rates[name]["median"])
    ]
    one = ("one, p50 ms", "p99", "p99.9", "over ours INT8")
    lines = [table(("", "bulk, sentences/s", "of the GEMM peak", "over ours INT8", *one), rows)]
    if latency:
        lines += ["", f"One at a time: {latency['sentences_a_contestant']:,} sentences each."]
    return "\n".join([*lines, *absent(bulk), *elsewhere(results, f"versus-{model}", f"latency-{model}")])


def lengths(results: Results) -> str:
    result = results["lengths-minilm"]
    rates = {length: at["tokens_per_second"] for length, at in result["lengths"].items()}
    rows = [
        (LABELS[name], *(number(at.get(name), factor=1 / int(length)) for length, at in rates.items()))
        for name in ordered(next(iter(rates.values())))
    ]
    head = table(("texts/s of … tokens", *rates), rows)
    return "\n".join([head, *absent(result), *elsewhere(results, "lengths-minilm")])


def footprint(results: Results) -> str:
    measured, seconds = memories(results), results["cold_start-minilm"]["seconds"]
    calls = [each["peak_mb_of_one_call"] for each in measured.values()]
    rows = [
        (
            LABELS[name],
            f"{seconds[name]['first_vector']['median']:.2f}" if name in seconds else "",
            *(f"{each[name]:,.0f}" if name in each else "" for each in calls),
            installed(name, results["size"]),
        )
        for name in ordered({name for each in (*calls, seconds) for name in each} - {"bare-int8"})
    ]
    notes = []
    for name in next(iter(measured.values()))["command"] if measured else ():
        runs = {count: each["command"][name] for count, each in measured.items() if name in each["command"]}
        peaks = ", ".join(f"{count:,} lines {run['peak_mb']:.0f} MB" for count, run in runs.items())
        notes.append(f"`simcse-engine encode`, {name.removeprefix('ours-').upper()}: {peaks}.")
    notes = ["", *(f"{note}  " for note in notes[:-1]), *notes[-1:]] if notes else []
    head = ("", "start to first vector, s", *(f"peak MB, {count:,} sentences" for count in measured), "installed MB")
    files = [f"memory-{count}-minilm" for count in measured]
    return "\n".join([table(head, rows), *notes, *elsewhere(results, *files, "cold_start-minilm")])


def quality(results: Results) -> str:
    result = results["quality-minilm"]
    tasks = list(result["tasks"])
    rows = []
    for name in ordered(result["quality"]):
        each = result["quality"][name]
        sts, cosine = each["sts"], each["cosine_to_float32"]
        rows.append(
            (
                LABELS[name],
                *(f"{sts['tasks'][task]['spearman']:.2f}" for task in tasks),
                *((f"{sts['alignment']:.3f}", f"{sts['uniformity']:.3f}") if sts else ()),
                f"{cosine['mean']:.4f} / {cosine['min']:.4f}",
                drift(each),
            )
        )
    measured = (*tasks, "alignment", "uniformity") if tasks else ()
    head = ("", *measured, "cosine to FP32, mean / least", "drift with the batch")
    return "\n".join([table(head, rows), *elsewhere(results, "quality-minilm")])


def machine(results: Results) -> str:
    result = results["versus-minilm"]
    on = result["machine"]
    packages = ", ".join(
        f"{name} {on['packages'][name]}" for name in ("onnxruntime", "numpy") if name in on["packages"]
    )
    peaks = ", ".join(
        f"{peak['median'] / 1e9:,.0f} {'GFLOP' if precision.startswith('fp') else 'GOP'}/s {precision}"
        for precision, peak in result["peak_operations_per_s"].items()
    )
    quota = "no quota" if on["cgroup_quota"] is None else f"a quota of {on['cgroup_quota']:g}"
    kernels = f"kernels {on['kernels']}; " if on.get("kernels") else ""
    return (
        f"{on['cpu']}, {on['usable_cpus']} CPUs ({', '.join(on['features'])}; {quota}; "
        f"governor {on['governor'] or 'not told'}), {on['os']}, {packages}; {kernels}"
        f"load at the start {on['load_average_at_start'][0]:.1f}; GEMM peaks {peaks}; {result['measured']}."
    )


def elsewhere(results: Results, *names: str) -> list[str]:
    """A note on results of another machine than the one that MiniLM's speed was measured on."""
    here = results.get("versus-minilm", {}).get("machine", {}).get("cpu")
    others = {
        f"{name} on {result['machine']['cpu']}, {result['measured']}"
        for name in names
        if (result := results.get(name)) is not None and here not in (None, result["machine"]["cpu"])
    }
    return ["", f"Measured on another machine: {'; '.join(sorted(others))}."] if others else []


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def number(spread: Mapping[str, float] | None, *, factor: float = 1) -> str:
    """A median."""
    return f"{factor * spread['median']:,.0f}" if spread else ""


def ratio(value: Mapping[str, float] | None) -> str:
    """A ratio and its interval."""
    return f"{value['median']:.2f} [{value['low']:.2f}, {value['high']:.2f}]" if value else ""


def drift(figures: Mapping[str, Any]) -> str:
    """How far a vector moves with its batch: the largest difference of one of its numbers."""
    return f"{figures['drift_with_the_batch']:.0e}" if figures["drift_with_the_batch"] else "0"


def installed(name: str, size: Mapping[str, Any]) -> str:
    """Megabytes of a contestant's environment."""
    # The longest that fits: "sentence-transformers-onnx" before "sentence-transformers".
    home = max((each for each in size["environments"] if name.startswith(each)), key=len, default=None)
    return "" if home is None else f"{size['environments'][home]['megabytes']:,.0f}"


def absent(result: Mapping[str, Any]) -> list[str]:
    """The peers that could not take part, and why."""
    lines = [f"Absent: {LABELS[name]}: {why}." for name, why in result["absent"].items()]
    return ["", *lines] if lines else []


def ordered(names: Iterable[str]) -> list[str]:
    """Names in the order of the labels."""
    return sorted(names, key=list(LABELS).index)


# Each table with the results that it cannot do without.
TABLES: dict[str, tuple[Callable[[Results], str], tuple[str, ...]]] = {
    "readme": (readme, ("versus-minilm", "cold_start-minilm", "size", "quality-minilm")),
    "machine": (machine, ("versus-minilm",)),
    "speed-minilm": (partial(speed, model="minilm"), ("versus-minilm",)),
    "speed-bert-base": (partial(speed, model="bert-base"), ("versus-bert-base",)),
    "lengths": (lengths, ("lengths-minilm",)),
    "footprint": (footprint, ("cold_start-minilm", "size")),
    "quality": (quality, ("quality-minilm",)),
}
