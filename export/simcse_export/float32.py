"""The float32 artifact for CPUs: written, and compared with transformers.

It is what most exports publish. Every other precision and target begins with it, as the twin to be judged beside.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import GRAPH, TOKENIZER, WEIGHTS, Manifest, Source
from simcse_engine.measure import parity
from simcse_engine.session.library import save_optimized

from .checkpoint.architecture import Architecture, Weights
from .checkpoint.model import HEAD, Model
from .checkpoint.ranges import recording_ranges
from .checkpoint.weights import digest, select
from .graph.bert import author
from .graph.dialects.cpu import CpuFp32
from .graph.dialects.dialect import Dialect
from .graph.layouts.ragged import Ragged
from .graph.nodes import save_model
from .graph.optimum import author_through_optimum
from .texts.check import check_texts

_STATED_VERSIONS = ("simcse-engine", "onnx", "torch", "transformers", "optimum-onnx", "tokenizers")

# Keys of a config that say nothing about the model itself.
_INCIDENTAL = {"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version", "use_cache"}


@dataclass(frozen=True, kw_only=True)
class WrittenGraph:
    """A graph that lies in its folder.

    Attributes:
        architecture: what the manifest says of the model.
        digest: sha256 over those numbers and the float32 weights.
    """

    architecture: Mapping[str, Any]
    digest: str


@dataclass(frozen=True, kw_only=True)
class ReferenceRun:
    """What a run of the reference model showed.

    Attributes:
        dimension: of its vectors.
        ranges: a linear layer's name → the largest magnitude of its results.
    """

    dimension: int
    ranges: Mapping[str, float]


def write_float32(model: Model, folder: Path) -> WrittenGraph:
    """Write graph, weights and tokenizer: authored where the architecture is known, else through optimum.

    Raises:
        ExportError: neither can write it; the subclass says why.
    """
    graph = _write_authored(model, model.architecture, folder) if model.architecture else _write_optimum(model, folder)
    model.reference.save_tokenizer(folder / TOKENIZER)
    return graph


def _write_authored(model: Model, architecture: Architecture, folder: Path) -> WrittenGraph:
    weights = model.graph_weights(architecture)
    write_graph(model, architecture, weights, CpuFp32(), folder)
    numbers = asdict(architecture)
    return WrittenGraph(architecture={"graph": "authored", **numbers}, digest=digest(weights, numbers))


def write_graph(model: Model, architecture: Architecture, weights: Weights, dialect: Dialect, folder: Path) -> None:
    """Write an authored graph and its weights into ``folder``."""
    graph = author(architecture, weights, dialect, pooler=model.pooler, normalize=model.normalize)
    save_model(graph, folder / GRAPH, WEIGHTS)


def _write_optimum(model: Model, folder: Path) -> WrittenGraph:
    encoder = model.reference.model
    if model.head is not None:
        hidden = encoder.config.hidden_size
        select(model.weights, {HEAD[0]: (hidden, hidden), HEAD[1]: (hidden,)})
    graph = author_through_optimum(
        encoder, pooler=model.pooler, head=model.head, normalize=model.normalize, folder=folder
    )
    # The engine runs graphs as they are (docs/decisions/002-no-rewriting-at-load.md), and this one needs rewriting.
    with tempfile.TemporaryDirectory(dir=folder) as raw:
        save_model(graph, Path(raw) / GRAPH, WEIGHTS)
        save_optimized(Path(raw) / GRAPH, folder / GRAPH, WEIGHTS)
    config = {key: value for key, value in sorted(model.checkpoint.config.items()) if key not in _INCIDENTAL}
    # A head that the pooler leaves out is no part of the model.
    weights = {name: array for name, array in model.weights.items() if model.head or not name.startswith("pooler.")}
    return WrittenGraph(architecture={"graph": "optimum", **config}, digest=digest(weights, config))


def run_reference(model: Model, folder: Path) -> ReferenceRun:
    """Run the reference model on the check texts, and write both texts and vectors into ``folder``."""
    reference = model.reference
    texts = check_texts(reference.count_tokens, model.max_tokens)
    with recording_ranges(reference.model) as ranges:
        vectors = [
            reference.encode(
                text, pooler=model.pooler, head=model.head, max_tokens=model.max_tokens, normalize=model.normalize
            )
            for text in texts
        ]
    parity.save_check(folder, texts, np.stack(vectors))
    return ReferenceRun(dimension=len(vectors[0]), ranges=ranges)


def verify_float32(model: Model, graph: WrittenGraph, dimension: int, folder: Path) -> Manifest:
    """Describe the artifact in ``folder``, compare it with the reference model, and write its manifest.

    Raises:
        ParityError: they disagree.
    """
    manifest = Manifest.describe(
        folder,
        source=Source(id=model.checkpoint.id, revision=model.checkpoint.revision, digest=graph.digest),
        architecture=graph.architecture,
        pooler=model.pooler,
        normalized=model.normalize,
        precision="fp32",
        target="cpu",
        dimension=dimension,
        max_tokens=model.max_tokens,
        max_batch=None,
        layout=Ragged.name,
        padding_id=None,
        versions={name: version(name) for name in _STATED_VERSIONS},
    )
    manifest.write(folder)
    with Encoder(folder) as encoder:
        manifest = replace(manifest, parity=parity.verify(encoder, folder).to_json(), verified=True)
    manifest.write(folder)
    return manifest
