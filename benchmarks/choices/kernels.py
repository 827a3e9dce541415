"""Why are the kernels' constants what they are? The library against builds of it that differ in one thing each.

All run in one process, on one thread, in turns; a ratio is the time of a build over that of the library as it is. A
build with "wrong vectors" leaves something out, to see what that costs. One sentence alone is shared by all threads.

    python -m benchmarks.choices.kernels                      all; some minutes for the builds, which are kept
    python -m benchmarks.choices.kernels --only gelu tile     those whose names begin so
    python -m benchmarks.choices.kernels --builds             build them and measure nothing
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine.artifact.manifest import TOKENIZER
from simcse_engine.machine.cpu import usable_cpus
from simcse_engine.tokenizer import Tokenizer

from ..inputs import BERT_BASE, MINILM, Model, sentences
from ..libraries import Graph, Library, build
from ..record import write_result
from ..statistics import Ratio, over, spreads
from ..turns import alternate, timed

_ROWS = "constexpr int kTileRows = 6, kTileVectors = 4;"  # of variants with AVX-512
_TOKENS, _CHUNK = "constexpr int kTileTokens = 64;", "constexpr int kChunkRows = 64;"
_GELU = "Number::kInteger ? rough_gelu(x[v]) : gelu(x[v])"
_SPIN = "constexpr int64_t kSpinNanoseconds = 100000;"
_TILE = "__attribute__((noinline)) void tile("

# By name: the source's file, what stands there, and what stands there in this build.
CHANGES: dict[str, tuple[str, str, str]] = {
    "tile of 4 x 64": ("tile.h", _ROWS, _ROWS.replace("6", "4")),
    "tile of 6 x 16": ("tile.h", _ROWS, _ROWS.replace("kTileVectors = 4", "kTileVectors = 1")),
    "tile inlined": ("tile.h", _TILE, "SIMCSE_INLINE void tile("),
    "gelu of float32": ("product.h", _GELU, "gelu(x[v])"),
    "gelu left out (wrong vectors)": ("product.h", _GELU, "x[v]"),
    "16 tokens a tile": ("sentences.h", _TOKENS, _TOKENS.replace("64", "16")),
    "32 tokens a tile": ("sentences.h", _TOKENS, _TOKENS.replace("64", "32")),
    "128 tokens a tile": ("sentences.h", _TOKENS, _TOKENS.replace("64", "128")),
    "256 tokens a tile": ("sentences.h", _TOKENS, _TOKENS.replace("64", "256")),
    "24 rows a chunk": ("pass.h", _CHUNK, _CHUNK.replace("64", "24")),
    "256 rows a chunk": ("pass.h", _CHUNK, _CHUNK.replace("64", "256")),
    "no spinning": ("team.cc", _SPIN, _SPIN.replace("100000", "0")),
}

USUAL = "as it is"
PRECISIONS = ("int8", "bf16", "fp32")
TOKENS = 512  # in a run
LENGTHS = (8, 32, 128)
ROUNDS = {MINILM: 15, BERT_BASE: 5}
ALONE_TOKENS, ALONE_CALLS = 16, 20
MIXED_RUNS = 2

Batch = tuple[NDArray[np.int64], NDArray[np.int64]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""])
    parser.add_argument("--builds", action="store_true")
    arguments = parser.parse_args()
    usual = build()
    changed = {
        name: build(changes={file: (before, after)}, name=name.replace(" ", "-"))
        for name, (file, before, after) in CHANGES.items()
        if name.startswith(tuple(arguments.only))
    }
    if arguments.builds:
        return
    lower = usual.kernels.variants[usual.kernels.variants.index(usual.variant) + 1 :]
    variants = {name: replace(usual, variant=name) for name in lower}
    write_result(
        "kernels",
        {
            "question": "time of builds of the kernels, and of their variants for lesser CPUs, over that of the "
            f"library as it is; runs of {TOKENS} tokens on one thread, token ids to vectors",
            "variant": usual.variant,
            "alone": f"one sentence of {ALONE_TOKENS} tokens on {usable_cpus()} threads",
        },
        {
            "builds_int8": {model.name: compare(model, "int8", {USUAL: usual, **changed}) for model in ROUNDS},
            "variants_minilm": {each: compare(MINILM, each, {USUAL: usual, **variants}) for each in PRECISIONS},
            "over_int8": {model.name: precisions(model, usual) for model in ROUNDS},
        },
    )


def compare(model: Model, precision: str, libraries: Mapping[str, Library]) -> dict[str, Any]:
    """Of each build or variant, its time over that of the library as it is, by the tokens of a sentence."""
    print(model.name, precision, flush=True)
    artifact = model.artifact(precision)
    return measure(model, {name: library.open(artifact) for name, library in libraries.items()}, USUAL)


def precisions(model: Model, library: Library) -> dict[str, Any]:
    """The same of the precisions, over int8."""
    return measure(model, {name: library.open(model.artifact(name)) for name in PRECISIONS}, "int8")


def measure(model: Model, graphs: Mapping[str, Graph], base: str) -> dict[str, Any]:
    ways: dict[str, list[Batch]] = {str(length): [equal(length, TOKENS // length)] for length in LENGTHS}
    ways["mixed"] = mixed(model)
    seconds = {way: turns(graphs, batches, ROUNDS[model]) for way, batches in ways.items()}
    seconds["alone"] = turns(graphs, [equal(ALONE_TOKENS, 1)] * ALONE_CALLS, ROUNDS[model], threads=usable_cpus())
    by_graph: dict[str, dict[str, Ratio]] = {name: {} for name in graphs if name != base}
    for way, each in seconds.items():
        for name, ratio in over(each, base).items():
            by_graph[name][way] = ratio
    return {"seconds": {way: spreads({base: each[base]})[base] for way, each in seconds.items()}, "over": by_graph}


def turns(
    graphs: Mapping[str, Graph], batches: list[Batch], rounds: int, *, threads: int = 1
) -> dict[str, list[float]]:
    def run(graph: Graph, _: object) -> None:
        for batch in batches:
            graph.run(*batch, threads=threads)

    contestants: dict[str, Callable[[object], float]] = {
        name: timed(partial(run, graph)) for name, graph in graphs.items()
    }
    return alternate(contestants, [None] * rounds)


def equal(length: int, count: int) -> Batch:
    """Sentences of one length."""
    return np.random.default_rng(0).integers(1000, 20_000, count * length), np.full(count, length)


def mixed(model: Model) -> list[Batch]:
    """Real sentences in the order in which they come."""
    ids = iter(Tokenizer(model.artifact() / TOKENIZER, 128).encode(sentences().texts[:1_000]).ids)
    batches = []
    for _ in range(MIXED_RUNS):
        chosen: list[list[int]] = []
        while sum(map(len, chosen)) < TOKENS:
            chosen.append(next(ids))
        batches.append((np.concatenate(chosen), np.array([len(each) for each in chosen])))
    return batches


if __name__ == "__main__":
    main()
