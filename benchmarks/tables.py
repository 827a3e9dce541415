"""The README's tables, Markdown from results. A table whose results are not there says so."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from charts import CHARTS
from labels import LABELS

Results = Mapping[str, Any]

MISSING = "*Not measured yet; `make bench` does it.*"


def speed(results: Results, model: str) -> str:
    bulk, latency = results.get(f"versus-{model}"), results.get(f"latency-{model}", {})
    if bulk is None:
        return MISSING
    rates, shares = bulk["bulk_sentences_per_second"], bulk.get("share_of_peak", {})
    waits = latency.get("one_sentence_ms", {})
    ratios = bulk["bulk_ours_over_peer"].get("ours-int8", {})
    rows = []
    for name in sorted(rates, key=lambda name: -rates[name]["median"]):
        share, wait, ratio = shares.get(name), waits.get(name, {}), ratios.get(name)
        rows.append(
            (
                LABELS[name],
                f"{rates[name]['median']:,.0f}",
                f"{share['share']['median']:.0%} of {share['of_peak']}" if share else "",
                *(f"{wait[p]:.1f}" if p in wait else "" for p in ("p50", "p99", "p99.9")),
                f"{ratio['median']:.2f}x [{ratio['low']:.2f}, {ratio['high']:.2f}]" if ratio else "",
            )
        )
    head = (
        "",
        "bulk, sentences/s",
        "of the GEMM peak",
        "one, p50 ms",
        "p99",
        "p99.9",
        "ours INT8 in bulk is faster by",
    )
    lines = [table(head, rows), *absent(bulk)]
    return "\n".join(lines)


def lengths(results: Results) -> str:
    found = results.get("lengths-minilm")
    if found is None:
        return MISSING
    columns = found["lengths"]
    names = ordered(next(iter(columns.values()))["tokens_per_second"])
    rows = [
        (
            LABELS[name],
            *(f"{at['tokens_per_second'][name]['median'] / int(length):,.0f}" for length, at in columns.items()),
        )
        for name in names
    ]
    return table(("texts/s of … tokens", *columns), rows)


def footprint(results: Results) -> str:
    memory, start, size = (results.get(name) for name in ("memory-minilm", "cold_start-minilm", "size"))
    if memory is None or start is None or size is None:
        return MISSING
    peaks, seconds, sizes = memory["peak_mb_by_sentences_in_one_call"], start["seconds"], size["environments"]
    counts = [f"{int(count):,}" for count in next(iter(peaks.values()))]
    rows = []
    for name in ordered(peaks):
        # The longest that fits: "sentence-transformers-onnx" before "sentence-transformers".
        home = max((each for each in sizes if name.startswith(each)), key=len, default=None)
        first = seconds.get(name)
        rows.append(
            (
                LABELS[name],
                f"{first['first_vector']['median']:.2f}" if first else "",
                *(f"{mb:,.0f}" for mb in peaks[name].values()),
                f"{sizes[home]['megabytes']:,.0f}" if home else "",
            )
        )
    for name, runs in memory["command_by_lines"].items():
        said = ", ".join(f"{int(count):,} lines {run['peak_mb']:.0f} MB" for count, run in runs.items())
        rows.append((f"`simcse-engine encode`, {name.removeprefix('ours-').upper()}", said))
    head = ("", "start to first vector, s", *(f"peak MB, {count} sentences" for count in counts), "installed MB")
    wide = [row for row in rows if len(row) == len(head)]
    notes = [f"{label}: {said}." for label, said in (row for row in rows if len(row) != len(head))]
    return "\n".join([table(head, wide), "", *(f"{note}  " for note in notes[:-1]), *notes[-1:]])


def quality(results: Results) -> str:
    found = results.get("quality-minilm")
    if found is None:
        return MISSING
    tasks = list(found["tasks"])
    rows = []
    for name in ordered(found["quality"]):
        each = found["quality"][name]
        sts, cosine = each["sts"], each["cosine_to_float32"]
        rows.append(
            (
                LABELS[name],
                *(f"{sts['tasks'][task]['spearman']:.2f}" for task in tasks),
                *((f"{sts['alignment']:.3f}", f"{sts['uniformity']:.3f}") if sts else ()),
                f"{cosine['mean']:.4f} / {cosine['min']:.4f}",
                f"{each['drift_with_the_batch']:.0e}",
            )
        )
    measured = (*tasks, "alignment", "uniformity") if tasks else ()
    return table(("", *measured, "cosine to FP32, mean / least", "drift with the batch"), rows)


def plots(results: Results) -> str:
    drawn = [(name, title) for name, (select, title) in CHARTS.items() if select(results) is not None]
    return "\n\n".join(f"![{title}](docs/assets/{name}.svg)" for name, title in drawn) or MISSING


def machine(results: Results) -> str:
    found = results.get("versus-minilm")
    if found is None:
        return MISSING
    on = found["machine"]
    packages = ", ".join(
        f"{name} {on['packages'][name]}" for name in ("onnxruntime", "numpy") if name in on["packages"]
    )
    features = ", ".join(on["features"])
    return f"{on['cpu']}, {on['usable_cpus']} CPUs ({features}), {on['os']}, {packages}; {found['measured']}."


TABLES: dict[str, Callable[[Results], str]] = {
    "machine": machine,
    "speed-minilm": lambda results: speed(results, "minilm"),
    "speed-bert-base": lambda results: speed(results, "bert-base"),
    "lengths": lengths,
    "footprint": footprint,
    "quality": quality,
    "plots": plots,
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def absent(result: Mapping[str, Any]) -> list[str]:
    """Who could not take part, and why."""
    return (
        ["", *(f"Absent: {LABELS[name]}: {why}." for name, why in result["absent"].items())] if result["absent"] else []
    )


def ordered(names: Iterable[str]) -> list[str]:
    """Names in the order of the labels."""
    return sorted(names, key=list(LABELS).index)
