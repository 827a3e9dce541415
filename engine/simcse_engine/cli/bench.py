"""The command `bench`: how fast an artifact is on this machine."""

import argparse
import math
from typing import TYPE_CHECKING

from .arguments import Commands, add_artifact, add_command, add_encoder_options
from .output import print_json

if TYPE_CHECKING:
    from ..measure.results import Bench, Spread, Throughput


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    text = "measure how fast an artifact is here, and how near that comes to what the machine can do"
    parser = add_command(commands, "bench", text, run)
    add_artifact(parser)
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="texts, as for encode; of many, the first 10,000 (default: made up)"
    )
    add_encoder_options(parser)
    parser.add_argument(
        "--seconds", type=_seconds, metavar="S", default=2.5, help="for each thing measured (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    from tqdm import tqdm

    from ..measure.bench import BenchOptions, bench

    options = BenchOptions(file=args.file, device=args.device, threads=args.threads, seconds=args.seconds)
    # No bar: each section takes seconds that are known beforehand. The line names the section under way.
    with tqdm(bar_format="{elapsed} {desc}", disable=None, leave=False) as line:
        measured = bench(args.artifact, options, line.set_description_str)
    if args.json:
        print_json(measured.to_json())
    else:
        print(bench_table(measured))
    return 0


def bench_table(bench: "Bench") -> str:
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


def _row(name: str, entry: "Throughput") -> str:
    rate = entry.sentences_per_s
    extremes = f"({rate.min:,.0f} - {rate.max:,.0f})"
    return (
        f"{name:<16}{rate.median:>12,.0f}{extremes:>20}{entry.tokens_per_s.median:>12,.0f}"
        f"{_share(entry.efficiency):>14}{_share(entry.executed_efficiency):>11}"
    )


def _share(ratio: "Spread | None") -> str:
    return "-" if ratio is None else f"{ratio.median:.0%}"


def _peak_line(bench: "Bench") -> str:
    if bench.peak is None:
        return "peak: not measured for this precision and target"
    p = bench.peak
    per_s: Spread = p["operations_per_s"]
    product = f"{p['operator']} [{p['rows']}, {p['inner']}] x [{p['inner']}, {p['columns']}]"
    return (
        f"peak: {per_s.median / 1e9:,.0f} Gop/s ({per_s.min / 1e9:,.0f} - {per_s.max / 1e9:,.0f}), onnxruntime's "
        f"{product} on {_threads(bench)}"
    )


def _threads(bench: "Bench") -> str:
    count = bench.machine["threads"]
    return f"{count} thread{'s' * (count > 1)}"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
