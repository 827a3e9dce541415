"""Where does a run's time go? Step by step inside our kernels, and how fast a run would be if its products took all.

One thread runs batches of one length in a library that counts the time of each step, which adds a little to each.
The products are the linear layers with what follows each in its tile: scales, biases, sums, GELU, rounding. Beside them
stands what the runtime's own product reaches here (`peak.py`), measured in the same process, so `ceiling` is what an
efficiency could reach if everything else cost nothing. It may exceed 1: our products may be faster than the runtime's.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from simcse_engine.artifact.manifest import Manifest

from ..flops import Flops
from ..inputs import MODELS
from ..libraries import Clock, Library, build
from ..peak import Peak
from ..record import write_result
from ..turns import no_options

PRECISIONS = ("int8", "bf16", "fp32")
# Tokens per sentence, sentences per run.
SHAPES = ((16, 1), (8, 64), (16, 32), (64, 8), (128, 4))
RUNS = 9
PEAK_SECONDS = 0.03
# The steps that are linear layers; attention has products of its own.
PRODUCTS = ("queries_keys_values", "output", "up", "down")


def main() -> None:
    no_options(__doc__)
    library = build(timing=True)
    graphs: dict[str, Any] = {}
    for name, model in MODELS.items():
        for precision in PRECISIONS:
            print(f"{name} {precision}", flush=True)
            artifact = model.artifact(precision)
            flops = Flops.of(Manifest.read(artifact))
            # The runtime has no product of bfloat16.
            peak = Peak("fp32" if precision == "bf16" else precision, threads=1)
            graphs[f"{name}-{precision}"] = {
                f"{count} x {length}": anatomy(library, artifact, length, count, flops, peak)
                for length, count in SHAPES
            }
    write_result(
        "operators",
        {
            "question": "shares of a run's time by step, on one thread; sentences x tokens a run",
            "variant": library.variant,
            "efficiency": "FLOPs of the whole model's linear layers a second, over the peak of the runtime's product; "
            "bf16's over the peak of float32",
            "ceiling": "the same, if those layers alone took time",
        },
        {"graphs": graphs},
    )


def anatomy(library: Library, artifact: Path, length: int, count: int, flops: Flops, peak: Peak) -> dict[str, Any]:
    """Runs of one shape: microseconds a token, shares by step, efficiency and its ceiling."""
    graph, clock = library.open(artifact), Clock(library)
    ids, lengths = np.random.default_rng(0).integers(1000, 20_000, count * length), np.full(count, length)
    peaks, seconds, steps = [], [], []
    for _ in range(RUNS):
        peaks.append(peak.measure(PEAK_SECONDS))
        graph.run(ids, lengths)  # the caches hold what ran before
        clock.read()
        start = time.perf_counter()
        graph.run(ids, lengths)
        seconds.append(time.perf_counter() - start)
        steps.append(clock.read())
    took = float(np.median(seconds))
    ticks = {step: float(np.median([each[step] for each in steps])) for step in steps[0]}
    total = sum(ticks.values())
    # Seconds that the linear layers would take at the peak.
    least = flops.per_token * len(ids) / float(np.median(peaks))
    return {
        "peak_operations_per_second": float(np.median(peaks)),
        "us_per_token": 1e6 * took / len(ids),
        "shares": {step: each / total for step, each in sorted(ticks.items(), key=lambda item: -item[1])},
        "efficiency": least / took,
        "ceiling": least / (took * sum(ticks[step] for step in PRODUCTS) / total),
    }


if __name__ == "__main__":
    main()
