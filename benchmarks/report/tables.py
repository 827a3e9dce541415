"""The tables of README.md and docs/benchmarks.md: Markdown from results. A table without its results says so."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .charts import memories
from .labels import LABELS

Results = Mapping[str, Any]

QUALITY = "quality-minilm"
DASH = "–"
MISSING = "*Not measured yet; `make bench` does it.*"


def speed(results: Results, model: str) -> str:
    bulk, latency = results.get(f"versus-{model}"), results.get(f"latency-{model}", {})
    if bulk is None:
        return MISSING
    rates, shares = bulk["bulk_sentences_per_second"], bulk.get("share_of_peak", {})
    waits = latency.get("one_sentence_ms", {})
    ratios = bulk["bulk_ours_over_peer"].get("ours-int8", {})
    ratios_of_one = latency.get("p50_peer_over_ours", {}).get("ours-int8", {})
    rows = []
    for name in sorted(rates, key=lambda name: -rates[name]["median"]):
        share, wait = shares.get(name), waits.get(name, {})
        rows.append(
            (
                LABELS[name],
                f"{rates[name]['median']:,.0f}",
                f"{share['share']['median']:.0%} of {share['of_peak']}" if share else "",
                times(ratios.get(name)),
                *(f"{wait[p]:.1f}" if p in wait else "" for p in ("p50", "p99", "p99.9")),
                times(ratios_of_one.get(name)),
            )
        )
    head = (
        "",
        "bulk, sentences/s",
        "of the GEMM peak",
        "over ours INT8",
        "one, p50 ms",
        "p99",
        "p99.9",
        "over ours INT8",
    )
    lines = [table(head, rows)]
    if latency:
        lines += ["", f"One at a time: {latency['sentences_a_contestant']:,} sentences each."]
    return "\n".join([*lines, *absent(bulk), *elsewhere(results, f"versus-{model}", f"latency-{model}")])


def times(ratio: Mapping[str, float] | None) -> str:
    """A ratio and its interval."""
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]" if ratio else ""


def lengths(results: Results) -> str:
    found = results.get("lengths-minilm")
    if found is None:
        return MISSING
    columns = found["lengths"]
    names = ordered(next(iter(columns.values()))["tokens_per_second"])
    rows = [
        (
            LABELS[name],
            *(
                f"{at['tokens_per_second'][name]['median'] / int(length):,.0f}"
                if name in at["tokens_per_second"]
                else ""
                for length, at in columns.items()
            ),
        )
        for name in names
    ]
    return "\n".join(
        [table(("texts/s of … tokens", *columns), rows), *absent(found), *elsewhere(results, "lengths-minilm")]
    )


def footprint(results: Results) -> str:
    measured, start, size = memories(results), results.get("cold_start-minilm"), results.get("size")
    if start is None or size is None:
        return MISSING
    calls = [each["peak_mb_of_one_call"] for each in measured.values()]
    seconds = start["seconds"]
    rows = []
    for name in ordered({name for each in (*calls, seconds) for name in each if name in LABELS} - {"bare-int8"}):
        first, megabytes = seconds.get(name), installed(name, size)
        rows.append(
            (
                LABELS[name],
                f"{first['first_vector']['median']:.2f}" if first else "",
                *(f"{each[name]:,.0f}" if name in each else "" for each in calls),
                f"{megabytes:,.0f}" if megabytes else "",
            )
        )
    notes = []
    for name in next(iter(measured.values()))["command"] if measured else ():
        runs = {count: each["command"][name] for count, each in measured.items() if name in each["command"]}
        said = ", ".join(f"{count:,} lines {run['peak_mb']:.0f} MB" for count, run in runs.items())
        notes.append(f"`simcse-engine encode`, {name.removeprefix('ours-').upper()}: {said}.")
    head = ("", "start to first vector, s", *(f"peak MB, {count:,} sentences" for count in measured), "installed MB")
    files = [f"memory-{count}-minilm" for count in measured]
    said = elsewhere(results, *files, "cold_start-minilm")
    notes = ["", *(f"{note}  " for note in notes[:-1]), *notes[-1:]] if notes else []
    return "\n".join([table(head, rows), *notes, *said])


def installed(name: str, size: Mapping[str, Any]) -> float | None:
    """Megabytes of a contestant's environment."""
    # The longest that fits: "sentence-transformers-onnx" before "sentence-transformers".
    home = max((each for each in size["environments"] if name.startswith(each)), key=len, default=None)
    return None if home is None else size["environments"][home]["megabytes"]


def drift(quality: Mapping[str, Any]) -> str:
    """How far a vector moves with its batch: the largest difference of one of its numbers."""
    return f"{quality['drift_with_the_batch']:.0e}" if quality["drift_with_the_batch"] else "0"


def quality(results: Results) -> str:
    found = results.get(QUALITY)
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
                drift(each),
            )
        )
    measured = (*tasks, "alignment", "uniformity") if tasks else ()
    head = ("", *measured, "cosine to FP32, mean / least", "drift with the batch")
    return "\n".join([table(head, rows), *elsewhere(results, "quality-minilm")])


_README_ROWS = ("ours-int8", "ctranslate2-int8", "openvino-int8", "sentence-transformers-fp32")


def readme(results: Results) -> str:
    """Ours, the two nearest peers and the usual library; a dash where there is no figure."""
    bulk, start, size, judged = (results.get(name) for name in ("versus-minilm", "cold_start-minilm", "size", QUALITY))
    if bulk is None or start is None or size is None or judged is None:
        return MISSING
    rows = []
    for name in _README_ROWS:
        rate, first = bulk["bulk_sentences_per_second"].get(name), start["seconds"].get(name)
        quality, megabytes = judged["quality"].get(name), installed(name, size)
        rows.append(
            (
                LABELS[name],
                f"{rate['median']:,.0f}" if rate else DASH,
                f"{1e3 * first['first_vector']['median']:,.0f}" if first else DASH,
                f"{megabytes:,.0f}" if megabytes else DASH,
                f"{quality['sts']['average']:.2f}" if quality and quality["sts"] else DASH,
                drift(quality) if quality else DASH,
            )
        )
    head = ("", "sentences/s", "first vector, ms", "installed, MB", "STS", "moved by its batch")
    return table(head, rows)


def machine(results: Results) -> str:
    found = results.get("versus-minilm")
    if found is None:
        return MISSING
    on = found["machine"]
    packages = ", ".join(
        f"{name} {on['packages'][name]}" for name in ("onnxruntime", "numpy") if name in on["packages"]
    )
    features = ", ".join(on["features"])
    peaks = ", ".join(
        f"{peak['median'] / 1e9:,.0f} {'GFLOP' if precision.startswith('fp') else 'GOP'}/s {precision}"
        for precision, peak in found["peak_operations_per_s"].items()
    )
    quota = "no quota" if on["cgroup_quota"] is None else f"a quota of {on['cgroup_quota']:g}"
    governor = f"governor {on['governor'] or 'not told'}"
    return (
        f"{on['cpu']}, {on['usable_cpus']} CPUs ({features}; {quota}; {governor}), {on['os']}, {packages}; "
        f"load at the start {on['load_average_at_start'][0]:.1f}; GEMM peaks {peaks}; {found['measured']}."
    )


def elsewhere(results: Results, *names: str) -> list[str]:
    """A note on results that are of another machine than MiniLM's speed, which they are read beside."""
    here = results.get("versus-minilm", {}).get("machine", {}).get("cpu")
    others = {
        f"{name} on {found['machine']['cpu']}, {found['measured']}"
        for name in names
        if (found := results.get(name)) is not None and here not in (None, found["machine"]["cpu"])
    }
    return ["", f"Measured on another machine: {'; '.join(sorted(others))}."] if others else []


TABLES: dict[str, Callable[[Results], str]] = {
    "machine": machine,
    "speed-minilm": lambda results: speed(results, "minilm"),
    "speed-bert-base": lambda results: speed(results, "bert-base"),
    "lengths": lengths,
    "footprint": footprint,
    "quality": quality,
    "readme": readme,
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
