"""How long from import to the first vector, in a fresh process? Ours in both precisions against FastEmbed.

Beside them, the floor: a script that opens our INT8 graph and tokenizer with their libraries and nothing else.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness import Ratio, Spread, alternate, write_result
from inputs import minilm, sentences
from peers.environment import FASTEMBED, FASTEMBED_MINILM
from peers.models import MINILM, optimum_graph

ROUNDS = 10
GOALS = {"ours": 0.5, "ours-int8": 0.3}
LEAST_COSINE = 0.999

# Both tell when they had imported, loaded and encoded; `{load}` and `{encode}` are each one's own way to do it.
SCRIPT = """
import time
started = time.perf_counter()
{imports}
imported = time.perf_counter()
import sys
model = {load}
loaded = time.perf_counter()
vectors = list({encode})
encoded = time.perf_counter()
import json
seconds = {{"import": imported - started, "load": loaded - imported, "encode": encoded - loaded}}
print(json.dumps({{"vectors": [v.tolist() for v in vectors], "seconds": seconds, "first_vector": encoded - started}}))
"""
OURS = SCRIPT.format(
    imports="from simcse_engine import Encoder", load="Encoder(sys.argv[1])", encode="model.encode(sys.argv[2:])"
)
THEIRS = SCRIPT.format(
    imports="from fastembed import TextEmbedding",
    load=f"TextEmbedding({FASTEMBED_MINILM!r}, specific_model_path=sys.argv[1], local_files_only=True)",
    encode="model.embed(sys.argv[2:])",
)
BARE = SCRIPT.format(
    imports="import numpy, onnxruntime, tokenizers",
    load="""(
    tokenizers.Tokenizer.from_file(sys.argv[1] + "/tokenizer.json"),
    onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx", providers=["CPUExecutionProvider"]),
)""",
    encode="""(
    model[1].run(None, {"input_ids": numpy.array(ids), "lengths": numpy.array([len(ids)])})[0][0]
    for ids in (model[0].encode(text).ids for text in sys.argv[2:])
)""",
)


def main() -> None:
    peer = FASTEMBED.install()
    texts = sentences()
    ours = starter(Path(sys.executable), OURS, minilm())
    python, int8 = Path(sys.executable), minilm("int8")
    contestants = {"ours": ours, "ours-int8": starter(python, OURS, int8), "bare-int8": starter(python, BARE, int8)}
    agreement = None
    if peer.error is None:
        theirs = starter(FASTEMBED.python, THEIRS, optimum_graph(MINILM))
        agreement = least_cosine(ours(texts.texts[:8])["vectors"], theirs(texts.texts[:8])["vectors"])
        if agreement < LEAST_COSINE:
            sys.exit(f"not the same model: the least cosine is {agreement}")
        contestants["fastembed"] = theirs
    runs = alternate(contestants, [[text] for text in texts.texts[:ROUNDS]])
    figures = {name: columns(done) for name, done in runs.items()}
    ratios = {}
    if "fastembed" in figures:
        theirs = figures["fastembed"]
        others = [name for name in figures if name != "fastembed"]
        ratios = {name: {key: Ratio.of(figures[name][key], theirs[key]) for key in theirs} for name in others}
    spreads = {name: {key: Spread.of(values) for key, values in figure.items()} for name, figure in figures.items()}
    for name, spread in spreads.items():
        print(f"{name:10}", *(f"{key} {seconds.median:.3f} s" for key, seconds in spread.items()))
    for name, ratio in ratios.items():
        print(f"{name} / fastembed:", *(f"{key} {value}" for key, value in ratio.items()))
    write_result(
        "cold_start",
        {
            "question": "seconds from import to the first vector, and of the whole process; MiniLM",
            "sentences": texts.source,
            "fastembed": peer,
            "least_cosine_between_them": agreement,
            "seconds": spreads,
            "over_fastembed": ratios,
            "goals": {
                name: {"over_fastembed": goal, "met": ratios[name]["first_vector"].median <= goal}
                for name, goal in GOALS.items()
                if ratios
            },
        },
    )


def starter(python: Path, script: str, model: Path) -> Callable[[list[str]], dict]:
    """A contestant: a fresh process that encodes its texts and tells how long it took."""

    def start(texts: list[str]) -> dict:
        begun = time.perf_counter()
        done = subprocess.run([python, "-c", script, model, *texts], stdout=subprocess.PIPE, text=True, check=True)
        process = time.perf_counter() - begun
        return {**json.loads(done.stdout.splitlines()[-1]), "process": process}

    return start


def columns(runs: list[dict]) -> dict[str, list[float]]:
    """The runs' seconds: of each stage, of all three up to the first vector, and of the whole process."""
    rows = [{**run["seconds"], "first_vector": run["first_vector"], "process": run["process"]} for run in runs]
    return {key: [row[key] for row in rows] for key in rows[0]}


def least_cosine(ours: list[list[float]], theirs: list[list[float]]) -> float:
    a, b = np.array(ours), np.array(theirs)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


if __name__ == "__main__":
    main()
