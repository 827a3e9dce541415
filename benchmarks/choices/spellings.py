"""Which of two ways to write the graph is faster? Two artifacts, the int8 dialect against others, or CUDA's.

    python -m benchmarks.choices.spellings                        every spelling below against the dialect as it is
    python -m benchmarks.choices.spellings --only fast-gelu      one of them
    python -m benchmarks.choices.spellings ARTIFACT ARTIFACT      two artifacts, such as of two commits
    python -m benchmarks.choices.spellings --prepare              write those of the graph for CUDA, on any machine
    python -m benchmarks.choices.spellings --device cuda:0        and let a GPU choose

On CPUs, graphs run as bulk work does: batches of one length, a one-thread session, one worker per core. A and B
alternate.
"""

import argparse
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx

from simcse_engine.artifact.manifest import GRAPH, TOKENIZER, WEIGHTS
from simcse_engine.machine.cpu import usable_cpus
from simcse_engine.session.cpu import CpuSession
from simcse_engine.tokenizer import Tokenizer
from simcse_export.checkpoint.architecture import TOKEN_TYPES, Architecture
from simcse_export.checkpoint.checkpoint import open_checkpoint
from simcse_export.checkpoint.weights import load_weights, select
from simcse_export.graph.bert import author
from simcse_export.graph.dialects.dialect import Heads, Layout
from simcse_export.graph.dialects.int8 import CpuInt8
from simcse_export.graph.nodes import Graph
from simcse_export.int8.quantize import QuantizedInput, quantize
from simcse_export.texts.corpora import built_in

from ..inputs import MINILM, MODELS
from ..record import BENCH, lines, plain, write_result
from ..statistics import Ratio, spreads
from ..turns import alternate, timed
from .cuda_spellings import CUDA_SPELLINGS, USUAL, compare_spellings, export_spelling

LENGTHS = (8, 16, 32, 64, 128)
BATCH_TOKENS = 512
BATCHES, ROUNDS = 24, 9
POOLER = "avg"


class Spelling(CpuInt8):
    """The dialect in the runtime's operators alone: ours would hide how they are spelled."""

    operators: ClassVar = {}


class MultiHeadAttention(Spelling):
    """The fused operator, which needs the tokens of a sentence side by side and moves them there itself."""

    def attention(self, layout: Layout, query: str, key: str, value: str, heads: Heads) -> str:
        graph = layout.graph
        grids = (layout.on_grid(lambda view, flat=flat: view.grid(flat, heads.hidden)) for flat in (query, key, value))
        by_sentence = [graph.op("Transpose", grid, perm=[1, 0, 2]) for grid in grids]
        out = graph.op("MultiHeadAttention", *by_sentence, domain="com.microsoft", num_heads=heads.count)
        return graph.op("Reshape", graph.op("Transpose", out, perm=[1, 0, 2]), graph.ints(-1, heads.hidden))


class FastGelu(Spelling):
    """The tanh approximation."""

    def activation(self, graph: Graph, x: str, name: str) -> str:  # noqa: ARG002 - as the base class has it
        return graph.op("FastGelu", x, domain="com.microsoft")


class NoSmoothing(Spelling):
    """Without the factors before quantization: wrong vectors, to see what the factors cost."""

    def _quantize(self, graph: Graph, x: str, name: str, quantized: QuantizedInput, scale: str, zero: str) -> str:
        bare = QuantizedInput(smooth=None, scale=quantized.scale, zero=quantized.zero)
        return super()._quantize(graph, x, name, bare, scale, zero)


class FloatEmbeddings(Spelling):
    """Embedding tables in float32."""

    def embedding(self, graph: Graph, rows: str, name: str, table: np.ndarray) -> str:
        return graph.op("Gather", graph.weight(name, table), rows)


SPELLINGS: dict[str, Callable[..., Spelling]] = {
    "multi-head-attention": MultiHeadAttention,
    "fast-gelu": FastGelu,
    "no-smoothing": NoSmoothing,
    "float-embeddings": FloatEmbeddings,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifacts", nargs="*", type=Path, metavar="ARTIFACT", help="two of them")
    parser.add_argument("--only", choices=[*SPELLINGS, *CUDA_SPELLINGS], help="one spelling")
    parser.add_argument("--device", default="cpu", help="cuda:N for the spellings of the graph for CUDA")
    parser.add_argument("--prepare", action="store_true", help="write the graphs for CUDA and run none")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), help="for CUDA")
    arguments = parser.parse_args()
    if arguments.prepare or arguments.device != "cpu":
        if arguments.only in SPELLINGS:
            parser.error(f"--only {arguments.only} is a spelling for CPUs")
        on_cuda(arguments)
        return
    if arguments.artifacts:
        if len(arguments.artifacts) != 2:
            parser.error("expected two artifacts")
        print(
            "the first's time over the second's, by tokens per sentence",
            *lines(plain(compare(*arguments.artifacts))),
            sep="\n",
        )
        return
    if arguments.only in CUDA_SPELLINGS:
        parser.error(f"--only {arguments.only} is a spelling for CUDA: name a GPU with --device")
    folders = write_graphs([arguments.only] if arguments.only else list(SPELLINGS))
    write_result(
        "spellings",
        {
            "question": "time of each spelling of the int8 graph, over the time of the dialect as it is; MiniLM, by "
            "tokens a sentence",
            "batch_tokens": BATCH_TOKENS,
            "workers": usable_cpus(),
        },
        {"spellings": {name: compare(folder, folders[""]) for name, folder in folders.items() if name}},
    )


def on_cuda(arguments: argparse.Namespace) -> None:
    """Write the graphs for CUDA that are missing; unless that is all, let the GPU run them in turns."""
    names = list(dict.fromkeys([USUAL, arguments.only])) if arguments.only else list(CUDA_SPELLINGS)
    figures = {}
    for model in arguments.models:
        folders = {name: BENCH / "spellings-cuda" / f"{model}-{name}" for name in names}
        for name, folder in folders.items():
            if arguments.prepare or not (folder / GRAPH).is_file():
                print(export_spelling(name, MODELS[model], folder), flush=True)
        if not arguments.prepare:
            figures[model] = compare_spellings(folders, arguments.device)
            # After each model: a GPU may be lent for minutes.
            write_result("spellings-cuda", {"question": "what each spelling of the graph for CUDA takes"}, figures)


def write_graphs(names: list[str]) -> dict[str, Path]:
    """A folder with a graph for each spelling, and under "" for the dialect as it is."""
    checkpoint = MINILM.checkpoint()
    weights = load_weights(checkpoint)
    numbers = Architecture.of(open_checkpoint(checkpoint, None).config)
    used = select(weights, numbers.shapes(POOLER), optional=[TOKEN_TYPES])
    # How fast integers are does not depend on how well they are chosen, so few sentences are enough.
    sentences = Tokenizer(MINILM.artifact() / TOKENIZER, 128).encode(built_in("calibration")[:64]).ids
    layers = quantize(numbers, used, sentences, first_only=False)
    folders = {}
    for name, dialect in {"": Spelling, **{name: SPELLINGS[name] for name in names}}.items():
        folder = BENCH / "spellings" / (name or "as-it-is")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        graph = author(numbers, used, dialect(layers), pooler=POOLER, normalize=True)
        onnx.save_model(graph, folder / GRAPH, save_as_external_data=True, location=WEIGHTS, size_threshold=1024)
        folders[name] = folder
    return folders


def compare(one: Path, other: Path) -> dict[int, dict]:
    """For each length, the seconds of a round of batches and the ratio of the first's to the second's."""
    sessions = {name: CpuSession(folder, threads=1) for name, folder in (("a", one), ("b", other))}
    figures = {}
    with ThreadPoolExecutor(usable_cpus()) as workers:

        def run(session: CpuSession, batches: list[tuple[np.ndarray, np.ndarray]]) -> None:
            list(workers.map(lambda batch: session.run(*batch), batches))

        for length in LENGTHS:
            count = max(1, BATCH_TOKENS // length)
            ids = np.random.default_rng(0).integers(1000, 20_000, count * length)
            ways = {name: timed(partial(run, session)) for name, session in sessions.items()}
            seconds = alternate(ways, [[(ids, np.full(count, length))] * BATCHES] * ROUNDS)
            figures[length] = {"seconds": spreads(seconds), "ratio": Ratio.of(seconds["a"], seconds["b"])}
    return figures


if __name__ == "__main__":
    main()
