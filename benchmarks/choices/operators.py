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
from ..harness import no_options, write_result
from ..inputs import bert_base, minilm
from ..peak import Gemm, Peak

MODELS = {"minilm": minilm, "bert-base": bert_base}
PRECISIONS = ("int8", "fp32")
# Tokens a sentence, sentences a run.
SHAPES = ((16, 1), (8, 64), (16, 32), (64, 8))
RUNS = 15
PEAK_SECONDS = 0.03
# The linear layers, in either precision; attention has products of its own.
PRODUCTS = ("MatMulIntegerToFloat", "Gemm")


def main() -> None:
    no_options(__doc__)
    found: dict[str, Any] = {}
    for model, make in MODELS.items():
        for precision in PRECISIONS:
            artifact = make(precision)
            flops = Flops.of(Manifest.read(artifact))
            peak = Peak(Gemm(precision=precision), threads=1)
            measured = {}
            for length, count in SHAPES:
                measured[f"{count} x {length}"] = one = anatomy(artifact, length, count, flops, peak)
                shares = ", ".join(f"{name} {share:.0%}" for name, share in list(one["shares"].items())[:8])
                print(
                    f"{model} {precision} {count:2} x {length:2} tokens: {one['us_per_token']:.1f} us a token, "
                    f"efficiency {one['efficiency']:.2f}, ceiling {one['ceiling']:.2f}: {shares}",
                    flush=True,
                )
            found[f"{model}-{precision}"] = measured
    write_result(
        "operators",
        {
            "question": "shares of a run's time by operator, on one thread; sentences x tokens a run",
            "efficiency": "FLOPs of the whole model's linear layers a second, over the peak of the runtime's product",
            "ceiling": "the same, if those products alone took time",
            "graphs": found,
        },
    )


def anatomy(artifact: Path, length: int, count: int, flops: Flops, peak: Peak) -> dict[str, Any]:
    """Profile runs of one shape: microseconds a token, shares by operator, efficiency and its ceiling."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.enable_profiling = True
    ids = np.random.default_rng(0).integers(1000, 20_000, count * length)
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        settings.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(artifact / GRAPH, settings, providers=["CPUExecutionProvider"])
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
    """Microseconds of each node, by operator; an `If` keeps what the nodes of its branch leave of its time."""
    found: dict[str, list[float]] = defaultdict(list)
    around: list[tuple[float, str, int]] = []  # of the nodes that are running: end, operator, place in its list
    for node in sorted(nodes, key=lambda node: (node["ts"], -node["dur"])):
        operator, start, took = node["args"]["op_name"], node["ts"], node["dur"]
        while around and around[-1][0] <= start:
            around.pop()
        if around:
            _, outer, place = around[-1]
            found[outer][place] -= took
        around.append((start + took, operator, len(found[operator])))
        found[operator].append(took)
    return found


if __name__ == "__main__":
    main()
