"""What the spellings of the graph for CUDA cost in cosines, as far as a CPU can run them.

Attention is spelled in plain operators here, and products are the CPU's, so what is compared is where tensors are
rounded to float16 and which function GELU is. The reference is the model in float32, the texts are the sentences that
calibration has not seen. BERT-base's weights are random.
"""

import tempfile
from pathlib import Path

import numpy as np

from simcse_engine.artifact.manifest import GRAPH, TOKENIZER, WEIGHTS
from simcse_engine.measure.parity import LIMITS
from simcse_engine.session.cpu import CpuSession
from simcse_engine.tokenizer import Tokenizer
from simcse_export.graph.bert import author
from simcse_export.graph.dialects.cuda import CudaOnCpu, CudaOptions
from simcse_export.graph.nodes import save_model
from simcse_export.texts.corpora import built_in

from ..inputs import MAX_TOKENS, MINILM, MODELS, Model
from ..record import write_result
from ..turns import no_options
from .cuda_spellings import folded_weights

SPELLINGS = {"as-it-is": CudaOptions(), "packed": CudaOptions(packed=True), "tanh-gelu": CudaOptions(tanh_gelu=True)}
# Attention in plain operators takes the square of a run's tokens.
_BATCH = 16


def main() -> None:
    no_options(__doc__)
    limit = LIMITS["fp16"]
    about = {
        "question": "vectors in float16 against those in float32, both of the graph for CUDA on a CPU",
        "limits": {"max_abs_difference": limit.max_abs_difference, "min_cosine": limit.min_cosine},
    }
    models = {name: compare(model) for name, model in MODELS.items()}
    write_result("cuda_parity", about, {"models": models, "query_bias_in_the_norm": query_bias_in_the_norm(MINILM)})


def query_bias_in_the_norm(model: Model) -> dict[str, list[float]]:
    """By layer: the root mean square of what the norm before would add to save queries a bias, and of its own numbers.

    It is W⁻¹b. What else reads the norm would take it out again.
    """
    numbers, weights = folded_weights(model)
    figures: dict[str, list[float]] = {"added_rms": [], "own_rms": []}
    for i in range(numbers.layers):
        query = f"encoder.layer.{i}.attention.self.query"
        norm = f"encoder.layer.{i - 1}.output.LayerNorm" if i else "embeddings.LayerNorm"
        added = np.linalg.solve(weights[f"{query}.weight"].astype(np.float64), weights[f"{query}.bias"])
        own = np.concatenate([weights[f"{norm}.weight"], weights[f"{norm}.bias"]])
        figures["added_rms"].append(float(np.sqrt((added**2).mean())))
        # Normalized numbers have a mean square of 1, so those of weight and bias add up.
        figures["own_rms"].append(float(np.sqrt(2 * (own**2).mean())))
    return figures


def compare(model: Model) -> dict[str, dict[str, float]]:
    """Each spelling in float16, beside float32."""
    texts = built_in("gate")
    tokenizer = Tokenizer(model.artifact("fp16", "cuda") / TOKENIZER, MAX_TOKENS)
    ids = tokenizer.encode(texts).ids
    exact = encode(model, CudaOnCpu("fp32"), ids)
    figures = {}
    for name, options in SPELLINGS.items():
        vectors = encode(model, CudaOnCpu("fp16", (), options), ids)
        cosines = (vectors * exact).sum(axis=1)
        figures[name] = {
            "max_abs_difference": float(np.abs(vectors - exact).max()),
            "min_cosine_below_1": float(1 - cosines.min()),
            "mean_cosine_below_1": float(1 - cosines.mean()),
        }
    return figures


def encode(model: Model, dialect: CudaOnCpu, ids: list[list[int]]) -> np.ndarray:
    """float64 [sentences, dimension], of unit length: float32's own rounding is what some of this is about."""
    numbers, weights = folded_weights(model)
    with tempfile.TemporaryDirectory() as folder:
        graph = author(numbers, weights, dialect, pooler=model.pooler, normalize=True)
        save_model(graph, Path(folder) / GRAPH, WEIGHTS)
        session = CpuSession(Path(folder), layout="packed")
    parts = []
    for start in range(0, len(ids), _BATCH):
        some = ids[start : start + _BATCH]
        parts.append(session.run(np.concatenate(some), np.array([len(each) for each in some])))
    vectors = np.concatenate(parts).astype(np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
