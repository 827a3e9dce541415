"""Where does a run's time go? Operator by operator, and how fast the graph would be if its products took all of it.

One thread runs batches of one length under ONNX Runtime's profiler, which adds a little to each node. The products are
the linear layers; beside them stands what the runtime's own product reaches here (`peak.py`),
measured in the same process, so `ceiling` is what an efficiency could reach if everything else cost nothing.
"""

import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from simcse_engine.artifact.manifest import GRAPH, Manifest

from ..flops import Flops
from ..inputs import MODELS
from ..peak import Peak
from ..record import write_result
from ..turns import no_options

PRECISIONS = ("int8", "fp32")
# Tokens per sentence, sentences per run.
SHAPES = ((16, 1), (8, 64), (16, 32), (64, 8))
RUNS = 15
PEAK_SECONDS = 0.03
# The linear layers, in either precision; attention has products of its own.
PRODUCTS = ("MatMulIntegerToFloat", "Gemm")


def main() -> None:
    no_options(__doc__)
    graphs: dict[str, Any] = {}
    for name, model in MODELS.items():
        for precision in PRECISIONS:
            print(f"{name} {precision}", flush=True)
            artifact = model.artifact(precision)
            flops = Flops.of(Manifest.read(artifact))
            peak = Peak(precision, threads=1)
            graphs[f"{name}-{precision}"] = {
                f"{count} x {length}": anatomy(artifact, length, count, flops, peak) for length, count in SHAPES
            }
    write_result(
        "operators",
        {
            "question": "shares of a run's time by operator, on one thread; sentences x tokens a run",
            "efficiency": "FLOPs of the whole model's linear layers a second, over the peak of the runtime's product",
            "ceiling": "the same, if those products alone took time",
        },
        {"graphs": graphs},
    )


def anatomy(artifact: Path, length: int, count: int, flops: Flops, peak: Peak) -> dict[str, Any]:
    """Profile runs of one shape: microseconds a token, shares by operator, efficiency and its ceiling."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = True
    ids = np.random.default_rng(0).integers(1000, 20_000, count * length)
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(artifact / GRAPH, options, providers=["CPUExecutionProvider"])
        for _ in range(RUNS):
            peaks.append(peak.measure(PEAK_SECONDS))
            session.run(None, {"input_ids": ids, "lengths": np.full(count, length)})
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = [e for e in events if e.get("cat") == "Node" and e["name"].endswith("_kernel_time")]
    # A run's nodes come in the same order in every run; the median run has met no page for the first time.
    micros = {name: float(np.median(np.sum(np.split(np.array(us), RUNS), 1))) for name, us in own_times(nodes).items()}
    total = sum(micros.values())
    products = sum(micros.get(name, 0.0) for name in PRODUCTS)
    # Seconds that the linear layers would take at the peak.
    least = flops.per_token * len(ids) / float(np.median(peaks))
    return {
        "peak_operations_per_second": float(np.median(peaks)),
        "us_per_token": total / len(ids),
        "shares": {name: us / total for name, us in sorted(micros.items(), key=lambda item: -item[1])},
        "efficiency": least / (total * 1e-6),
        "ceiling": least / (products * 1e-6),
    }


def own_times(nodes: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    """Microseconds of each node, by operator; those of a branch's nodes are taken off their `If`."""
    micros: dict[str, list[float]] = defaultdict(list)
    running: list[tuple[float, str, int]] = []  # end, operator, place in the operator's list
    for node in sorted(nodes, key=lambda node: (node["ts"], -node["dur"])):
        operator, start, took = node["args"]["op_name"], node["ts"], node["dur"]
        while running and running[-1][0] <= start:
            running.pop()
        if running:
            _, outer, place = running[-1]
            micros[outer][place] -= took
        running.append((start + took, operator, len(micros[operator])))
        micros[operator].append(took)
    return micros


if __name__ == "__main__":
    main()
