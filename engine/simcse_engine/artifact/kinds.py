"""The kinds of artifacts there are: poolers, layouts, and the table of targets. Export and engine read it from here."""

from collections.abc import Mapping
from dataclasses import dataclass

# How token vectors become a sentence's vector: SimCSE's five, and sentence-transformers' others.
SIMCSE_POOLERS = ("cls", "cls_before_pooler", "avg", "avg_top2", "avg_first_last")
POOLERS = (*SIMCSE_POOLERS, "max", "mean_sqrt_len", "weightedmean", "lasttoken")

# What the weights and products of a graph are.
PRECISIONS = ("fp32", "fp16", "bf16", "int8")

# Those that TensorRT compiles graphs of.
_COMPILED = ("fp32", "fp16", "int8")

# How a graph takes the sentences of a run, see `simcse_engine.session.feeds`:
# "ragged", end to end; "even", the same, and all of one length; "packed", end to end with positions and where each
# begins; "grid", one padded row per sentence; "padded", the same with the usual inputs of such graphs.
LAYOUTS = ("ragged", "even", "packed", "grid", "padded")


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a graph is exported for."""

    precisions: tuple[str, ...]  # those that it can be exported in
    layouts: tuple[str, ...]  # those of its graphs
    devices: tuple[str, ...]  # kinds of devices that run it, its own first; CPUs run plain operators too, slowly
    compiled: bool = False  # whether a compiler has to make a plan of the graph before it runs there


TARGETS: Mapping[str, Target] = {
    # "packed" where export checks a graph for "cuda".
    "cpu": Target(
        precisions=("fp32", "bf16", "int8"), layouts=("ragged", "even", "packed", "padded"), devices=("cpu",)
    ),
    "cuda": Target(precisions=("fp32", "fp16"), layouts=("packed",), devices=("cuda",)),
    "tensorrt": Target(precisions=_COMPILED, layouts=("grid",), devices=("cuda", "cpu"), compiled=True),
    "tensorrt-rtx": Target(precisions=_COMPILED, layouts=("grid",), devices=("cuda", "cpu"), compiled=True),
}
