"""The command `bench`: how fast an artifact is on this machine."""

import argparse
import math
from typing import TYPE_CHECKING

from .arguments import Commands, add_artifact, add_command, add_encoder_options, add_text_column, number
from .output import print_result

if TYPE_CHECKING:
    from ..measure.results import Bench, Throughput


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    text = "measure how fast an artifact is on this machine"
    parser = add_command(commands, "bench", text, run)
    add_artifact(parser)
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        help="texts, as for encode; the first 10,000 of them (default: generated sentences)",
    )
    add_text_column(parser)
    add_encoder_options(parser)
    parser.add_argument(
        "--seconds",
        type=_seconds,
        metavar="S",
        default=2.5,
        help="for each length, for texts and for latency (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from tqdm import tqdm

    from ..measure.bench import BenchOptions, bench

    options = BenchOptions(
        file=args.file,
        text_column=args.text_column,
        device=args.device,
        threads=args.threads,
        seconds=args.seconds,
    )
    # No bar: each section takes seconds that are known beforehand. The line names the section under way.
    with tqdm(bar_format="{elapsed} {desc}", disable=None, leave=False) as line:
        measured = bench(args.artifact, options, line.set_description_str)
    print_result(args, measured.to_json(), lambda: bench_table(measured))


def bench_table(bench: "Bench") -> str:
    """Throughput, one row per length and one for texts, then latency."""
    a, m, latency = bench.artifact, bench.machine, bench.latency
    threads = f"{m['threads']} thread{'s' * (m['threads'] > 1)}"
    cut = f", {bench.texts_cut:,} of them cut" if bench.texts_cut else ""
    lines = [
        f"{a['path']}: {a['source']}, pooler {a['pooler']}, {a['precision']} for {a['target']}",
        f"{m['cpu']}, {threads}, onnxruntime {m['onnxruntime']}, {m['kernels'] or 'no'} kernels",
        "",
        f"{'':<16}{'sentences/s':>12}{'(min - max)':>20}{'tokens/s':>12}",
        *(_row(f"{entry.tokens_per_sentence:.0f} tokens", entry) for entry in bench.lengths),
        _row("texts", bench.texts),
        "",
        f"texts: {bench.texts_source}, {bench.texts.tokens_per_sentence:.1f} tokens on average{cut}",
        f"one text at a time: p50 {latency.p50_ms:.2f} ms, p90 {latency.p90_ms:.2f}, p99 {latency.p99_ms:.2f}, "
        f"p99.9 {latency.p99_9_ms:.2f} ({latency.calls:,} calls)",
    ]
    return "\n".join(lines)


def _row(name: str, entry: "Throughput") -> str:
    rate = entry.sentences_per_s
    extremes = f"({rate.min:,.0f} - {rate.max:,.0f})"
    return f"{name:<16}{rate.median:>12,.0f}{extremes:>20}{entry.tokens_per_s.median:>12,.0f}"


def _seconds(text: str) -> float:
    if not 0 < number(text) < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return number(text)
