"""What `evaluate` and `bench` print for people."""

from ..measure.quality import POSITIVE, UNIFORMITY_SENTENCES, Quality
from ..measure.results import Bench, Spread, Throughput


def quality_table(quality: Quality) -> str:
    """A task a row, then what is said of all of them."""
    width = max(len("uniformity"), *(len(name) for name in quality.tasks))
    rows = [f"{'task':<{width}} {'pairs':>9} {'Spearman x 100':>15}"]
    rows += [f"{name:<{width}} {task.pairs:>9,} {task.spearman:>15.2f}" for name, task in quality.tasks.items()]
    rows.append(f"{'average':<{width}} {'':>9} {quality.average:>15.2f}")
    sampled = f"a sample of {UNIFORMITY_SENTENCES:,} of " if quality.sentences > UNIFORMITY_SENTENCES else ""
    for name, value, over in (
        ("alignment", quality.alignment, f"pairs with a score above {POSITIVE:g}"),
        ("uniformity", quality.uniformity, f"{sampled}{quality.sentences:,} distinct sentences"),
    ):
        shown = "-" if value is None else f"{value:.3f}"
        rows.append(f"{name:<{width}} {'':>9} {shown:>15}  over {over}; smaller is better")
    return "\n".join(rows)


def bench_table(bench: Bench) -> str:
    """Throughput, a length a row, then texts, latency and the peak."""
    a, m, latency = bench.artifact, bench.machine, bench.latency
    cut = f", {bench.texts_cut:,} of them cut" if bench.texts_cut else ""
    lines = [
        f"{a['path']}: {a['source']}, pooler {a['pooler']}, {a['precision']} for {a['target']}",
        f"{m['cpu']}, {_threads(bench)}, onnxruntime {m['onnxruntime']}",
        "",
        f"{'':<16}{'sentences/s':>12}{'(min - max)':>20}{'tokens/s':>12}{'of the peak':>14}{'executed':>11}",
        *(_row(f"{entry.tokens_per_sentence:.0f} tokens", entry) for entry in bench.lengths),
        _row("texts", bench.texts),
        "",
        f"texts: {bench.texts_source}, {bench.texts.tokens_per_sentence:.1f} tokens on average{cut}",
        f"one text at a time: p50 {latency.p50_ms:.2f} ms, p90 {latency.p90_ms:.2f}, p99 {latency.p99_ms:.2f}, "
        f"p99.9 {latency.p99_9_ms:.2f} ({latency.calls:,} calls)",
        _peak_line(bench),
    ]
    return "\n".join(lines)


def _row(name: str, entry: Throughput) -> str:
    rate = entry.sentences_per_s
    extremes = f"({rate.min:,.0f} - {rate.max:,.0f})"
    return (
        f"{name:<16}{rate.median:>12,.0f}{extremes:>20}{entry.tokens_per_s.median:>12,.0f}"
        f"{_share(entry.efficiency):>14}{_share(entry.executed_efficiency):>11}"
    )


def _share(ratio: Spread | None) -> str:
    return "-" if ratio is None else f"{ratio.median:.0%}"


def _peak_line(bench: Bench) -> str:
    if bench.peak is None:
        return "peak: not measured for this precision and target"
    p = bench.peak
    per_s: Spread = p["operations_per_s"]
    product = f"{p['operator']} [{p['rows']}, {p['inner']}] x [{p['inner']}, {p['columns']}]"
    return (
        f"peak: {per_s.median / 1e9:,.0f} Gop/s ({per_s.min / 1e9:,.0f} - {per_s.max / 1e9:,.0f}), onnxruntime's "
        f"{product} on {_threads(bench)}"
    )


def _threads(bench: Bench) -> str:
    count = bench.machine["threads"]
    return f"{count} thread{'s' * (count > 1)}"
