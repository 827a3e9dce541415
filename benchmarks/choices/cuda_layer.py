"""What bounds a layer of the graph for CUDA? Counted and predicted on any machine, before a GPU has run it.

Every node of one layer in float16 has the bytes that it reads and writes, and the operations of its products or the
scores of its attention. At an H100's rates each of them takes a least time; the longest is the node's, and the sum is
the layer's. The nodes are those that the runtime runs: the engine opens graphs with all of its optimizations off.

What this cannot know: how near to the peak cuBLAS comes with small matrices, what stays in the GPU's cache between two
nodes, and what the processor adds. So measured times are longer, and by how much is a figure of its own.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from simcse_engine.artifact.manifest import GRAPH, Manifest
from simcse_engine.runner import _end_to_end
from simcse_engine.schedule import limits_for, make_batches
from simcse_engine.session.feeds import packed

from ..flops import Flops
from ..inputs import MODELS
from ..record import write_result
from ..turns import no_options
from .cuda_spellings import CUDA_SPELLINGS, EFFICIENT, H100_FLOPS, TOKENS, CudaSpelling, export_spelling

LENGTHS = (16, 32, 64, 128)
# Its neighbours are alike; the last one differs where the pooler reads first tokens alone.
LAYER = "encoder.layer.1"
_HALF = 2  # bytes of a float16
_CALLS = 25


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What a GPU does in a second, at best.

    Attributes:
        bytes: from and to its memory.
        flops: of float16 products, sums in float32.
        flash_scores: of FlashAttention-2's: 35 % of 989 TFLOP/s with heads of 64 (arXiv:2407.08608), 256 operations a
            score. A head of 32 has half of the operations and as many exponentials, so no more scores are assumed.
        cutlass_scores: of CUTLASS's attention, half as many (arXiv:2307.08691).
        launch_seconds: between the end of a kernel and the begin of the next.
    """

    bytes: float = 3.35e12
    flops: float = H100_FLOPS
    flash_scores: float = 0.35 * 989e12 / 256
    cutlass_scores: float = 0.35 * 989e12 / 512
    launch_seconds: float = 2e-6


H100 = Rates()


@dataclass(frozen=True, kw_only=True)
class Node:
    """What one node moves and computes.

    Attributes:
        operator: what it is of.
        read, written: bytes.
        flops: of its product.
        scores: of attention, with those of tiles that are not full, and how many are computed in a second.
    """

    operator: str
    read: int
    written: int
    flops: int = 0
    scores: int = 0

    def seconds(self, rates: Rates, scores_a_second: float) -> dict[str, float]:
        """The least time of one kernel by what bounds it: "memory", "products" or "scores"."""
        return {
            "memory": (self.read + self.written) / rates.bytes,
            "products": self.flops / rates.flops,
            "scores": self.scores / scores_a_second,
        }


@dataclass(frozen=True, kw_only=True)
class Attention:
    """The kernel that attention runs in: the side of its tiles, scores a second, whether it copies its inputs first."""

    name: str
    tile: int
    scores_a_second: float
    copies: bool

    @classmethod
    def of(cls, spelling: CudaSpelling, rates: Rates) -> "Attention":
        """That of a Hopper GPU: `PackedMultiHeadAttention::ComputeInternal` of the runtime.

        Packed inputs of texts below 513 tokens leave flash attention unless it is the only kernel that is allowed, and
        TensorRT's kernels are for older GPUs.
        """
        packed = spelling.options.packed
        efficient = spelling.provider == EFFICIENT or (packed and not spelling.provider)
        if efficient:
            return cls(name="CUTLASS", tile=64, scores_a_second=rates.cutlass_scores, copies=packed)
        return cls(name="flash", tile=128, scores_a_second=rates.flash_scores, copies=packed)

    def scores(self, length: int) -> int:
        """Of one head and text, with those of tiles that are not full."""
        return (math.ceil(length / self.tile) * self.tile) ** 2


def main() -> None:
    no_options(__doc__)
    about = {
        "question": "the least time of each node of a layer in float16, and of the layer, by tokens a text",
        "gpu": "NVIDIA H100, predicted",
        "rates": asdict(H100),
        "tokens": TOKENS,
        "layer": LAYER,
    }
    models = {name: predict(name) for name in MODELS}
    write_result("cuda_layer", about, {"models": models, "host_ms_by_tokens_a_text": host()})


def predict(name: str) -> dict[str, object]:
    """Nodes of the usual spelling, and the layer's least time in each."""
    model = MODELS[name]
    figures: dict[str, object] = {}
    spellings = {}
    for key, spelling in CUDA_SPELLINGS.items():
        with TemporaryDirectory() as temporary:
            folder = export_spelling(key, model, Path(temporary) / "artifact")
            graph, flops = onnx.load(folder / GRAPH, load_external_data=False).graph, Flops.of(Manifest.read(folder))
        attention = Attention.of(spelling, H100)
        layers = {length: layer(graph, attention, length) for length in LENGTHS}
        needed = TOKENS * flops.per_token / flops.layers
        if not figures:
            figures = {"linear_gflop": needed / 1e9, "nodes": layers}
        spellings[key] = {
            length: {
                "us": sum(each["us"] for each in nodes.values()),
                "kernels": len(nodes),
                "share_of_peak": needed / (sum(each["us"] for each in nodes.values()) / 1e6) / H100.flops,
            }
            for length, nodes in layers.items()
        }
    return {**figures, "spellings": spellings}


def layer(graph: onnx.GraphProto, attention: Attention, length: int) -> dict[str, dict[str, object]]:
    """Each node of a layer by its name, with what it moves and computes, its least time and what bounds it."""
    figures = {}
    for name, node in nodes_of(graph, attention, length):
        seconds = node.seconds(H100, attention.scores_a_second)
        bound = max(seconds, key=lambda each: seconds[each])
        figures[name] = {
            **{key: value for key, value in asdict(node).items() if value},
            "bound": bound,
            "us": 1e6 * (seconds[bound] + H100.launch_seconds),
        }
    return figures


def nodes_of(graph: onnx.GraphProto, attention: Attention, length: int) -> Iterator[tuple[str, Node]]:
    """The nodes of `LAYER` at `TOKENS` tokens, products by the name of their weight.

    A reshape moves nothing, and is left out. What attention copies is a node of its own.
    """
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    widths: dict[str, int] = {}  # of tensors that have a row for each token

    def moved(*names: str) -> int:
        given = [name for name in names if name in shapes or name in widths]
        return sum(_HALF * (math.prod(shapes[x]) if x in shapes else TOKENS * widths[x]) for x in given)

    for node in graph.node:
        if not node.name.startswith(f"{LAYER}/"):
            continue
        (first, *others), (output,) = node.input, node.output
        if node.op_type == "MatMul":
            widths[first], widths[output] = shapes[others[0]]
            name = others[0].removeprefix(f"{LAYER}.").removesuffix(".weight")
            flops = 2 * TOKENS * math.prod(shapes[others[0]])
            yield name, Node(operator=node.op_type, read=moved(*node.input), written=moved(output), flops=flops)
        elif node.op_type == "PackedMultiHeadAttention":
            heads = next(attribute.i for attribute in node.attribute if attribute.name == "num_heads")
            # Packed inputs are one tensor.
            widths[output] = widths[first] if others[0] else widths[first] // 3
            each = moved(output)
            if attention.copies:
                yield "copy of queries, keys, values", Node(operator=node.op_type, read=3 * each, written=3 * each)
            scores = heads * attention.scores(length) * TOKENS // length
            yield "attention", Node(operator=node.op_type, read=3 * each, written=each, scores=scores)
        else:
            widths[output] = widths[first]
            if node.op_type != "Reshape":
                name = node.name.removeprefix(f"{LAYER}/")
                yield name, Node(operator=node.op_type, read=moved(*node.input), written=moved(output))


def host() -> dict[int, dict[str, float]]:
    """Milliseconds of a processor for `TOKENS` tokens that are given as lists, before a GPU sees them.

    "before": until the first run is handed over, whose time is that of all runs of a call; "packed": on the workers.
    """
    manifest = Manifest.read(MODELS["minilm"].artifact("fp16", "cuda"))
    limits = limits_for(manifest, "cuda:0", kernels=False)
    draw = np.random.default_rng(0)
    figures = {}
    for length in LENGTHS:
        ids = draw.integers(1000, 20_000, (TOKENS // length, length)).tolist()

        def lay_out(ids: list[list[int]] = ids) -> list[tuple[np.ndarray, np.ndarray]]:
            return [_end_to_end(ids, batch) for batch in make_batches([len(each) for each in ids], limits, mixed=True)]

        runs = lay_out()
        figures[length] = {
            "before_ms": 1e3 * _processor_seconds(lay_out),
            "packed_ms": 1e3 * _processor_seconds(lambda runs=runs: [packed(*run, None) for run in runs]),
        }
    return figures


def _processor_seconds(call: Callable[[], object]) -> float:
    """The median of several calls'."""
    seconds = []
    for _ in range(_CALLS):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return float(np.median(seconds))


if __name__ == "__main__":
    main()
