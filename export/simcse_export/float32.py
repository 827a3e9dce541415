"""The float32 artifact for CPUs: written, and compared with transformers.

It is what most exports publish. Every other precision and target begins with it, as the twin to be judged beside.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import GRAPH, TOKENIZER, WEIGHTS, Manifest
from simcse_engine.artifact.parts import Source
from simcse_engine.errors import CheckpointError
from simcse_engine.measure import parity
from simcse_engine.measure.ways import both_ways
from simcse_engine.session.library import save_optimized

from .checkpoint.architecture import Weights
from .checkpoint.model import HEAD, Model
from .checkpoint.ranges import recording_ranges
from .checkpoint.weights import digest, select
from .graph.bert import author
from .graph.dialects.dialect import Dialect
from .graph.layouts.ragged import Ragged
from .graph.nodes import drop_import, save_model
from .graph.operators import DOMAIN
from .graph.optimum import author_through_optimum
from .tail.part import Part
from .texts.check import check_texts

_STATED_VERSIONS = ("simcse-engine", "onnx", "torch", "transformers", "tokenizers")

# Keys of a config that say nothing about the model itself.
_INCIDENTAL = {"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version", "use_cache"}


def write_float32(model: Model, folder: Path) -> tuple[dict[str, Any], str]:
    """Write graph, weights and tokenizer: authored where the architecture is known, else through optimum.

    The results are what the manifest says of the architecture, and the model's digest.
    """
    if model.known_architecture is None:
        writer, weights, numbers = "optimum", *_write_through_optimum(model, folder)
    else:
        writer, weights, numbers = "authored", model.graph_weights(), asdict(model.architecture)
        write_graph(model, weights, Dialect(), folder)
    if model.truncate_dim is not None:
        # Artifacts of other dimensions are of another model.
        numbers = {**numbers, "truncate_dim": model.truncate_dim}
    tail = [part.facts() for part in model.tail]
    described = {"tail": [facts | part.figures() for facts, part in zip(tail, model.tail, strict=True)]} if tail else {}
    if tail:
        numbers = {**numbers, "tail": tail}
        weights = {**weights, **_weights_of(model.tail)}
    model.reference.save_tokenizer(folder / TOKENIZER)
    return {"graph": writer, **numbers, **described}, digest(weights, numbers)


def _weights_of(tail: Sequence[Part]) -> Weights:
    return {f"tail.{i}.{name}": array for i, part in enumerate(tail) for name, array in part.weights().items()}


def write_graph(model: Model, weights: Weights, dialect: Dialect, folder: Path) -> None:
    """Write an authored graph and its weights into ``folder``."""
    graph = author(
        model.architecture,
        weights,
        dialect,
        pooler=model.pooler,
        include_prompt=model.include_prompt,
        tail=model.tail,
        truncate_dim=model.truncate_dim,
        normalize=model.normalize,
    )
    save_model(graph, folder / GRAPH, WEIGHTS)


def _write_through_optimum(model: Model, folder: Path) -> tuple[Weights, dict[str, Any]]:
    """Write the graph; the weights in it, and the config that describes it."""
    encoder = model.reference.model
    if model.head is not None:
        hidden = encoder.config.hidden_size
        select(model.weights, {HEAD[0]: (hidden, hidden), HEAD[1]: (hidden,)})
    graph = author_through_optimum(
        encoder,
        pooler=model.pooler,
        head=model.head,
        include_prompt=model.include_prompt,
        tail=model.tail,
        truncate_dim=model.truncate_dim,
        normalize=model.normalize,
        folder=folder,
    )
    # The engine runs graphs as they are (docs/decisions/002-no-rewriting-at-load.md), and this one needs rewriting.
    with tempfile.TemporaryDirectory(dir=folder) as raw:
        save_model(graph, Path(raw) / GRAPH, WEIGHTS)
        save_optimized(Path(raw) / GRAPH, folder / GRAPH, WEIGHTS)
    # The runtime writes down every domain that this process has given it: ours, once an artifact ran in our kernels.
    drop_import(folder / GRAPH, DOMAIN)
    # A head that the pooler leaves out is no part of the model.
    weights = {name: array for name, array in model.weights.items() if model.head or not name.startswith("pooler.")}
    return weights, {key: value for key, value in sorted(model.checkpoint.config.items()) if key not in _INCIDENTAL}


def _encode(model: Model) -> Callable[..., NDArray[np.float32]]:
    """What gives a text's vector in the reference model."""
    return partial(
        model.reference.encode,
        pooler=model.pooler,
        head=model.head,
        tail=model.tail,
        max_tokens=model.max_tokens,
        truncate_dim=model.truncate_dim,
        normalize=model.normalize,
    )


def run_reference(model: Model, folder: Path) -> Mapping[str, float]:
    """Run the reference model on the check texts, and write both texts and vectors; `recording_ranges`' ranges."""
    texts = check_texts(model.reference.count_tokens, model.max_tokens)
    encode = _encode(model)
    with recording_ranges(model.reference.model) as ranges:
        vectors = np.stack([encode(text) for text in texts])
    norms = np.linalg.norm(vectors, axis=1)
    faults = [text for text, norm in zip(texts, norms, strict=True) if not 0 < norm < np.inf]
    if faults:
        raise CheckpointError(
            f"{model.checkpoint.id}: transformers itself computes NaN, infinity or vectors of length 0 for "
            f"{len(faults)} of {len(texts)} texts, such as {faults[0][:40]!r}; these are no trained weights"
        )
    parity.save_check(folder, texts, vectors)
    return ranges


def describe(model: Model, architecture: Mapping[str, Any], digest: str, folder: Path) -> Manifest:
    """The manifest of the float32 artifact in ``folder``, still without what is measured."""
    stated = (*_STATED_VERSIONS, *(["optimum-onnx"] if architecture["graph"] == "optimum" else []))
    return Manifest.describe(
        folder,
        source=Source(id=model.checkpoint.id, revision=model.checkpoint.revision, digest=digest),
        architecture=architecture,
        pooler=model.pooler,
        normalized=model.normalize,
        precision="fp32",
        target="cpu",
        dimension=model.dimension,
        max_tokens=model.max_tokens,
        max_tokens_source=model.length.source,
        max_batch=None,
        layout=Ragged.name,
        padding_id=None,
        versions={name: version(name) for name in stated},
        prompts=model.checkpoint.prompts,
        default_prompt_name=model.checkpoint.default_prompt_name,
        include_prompt=model.include_prompt,
    )


def verify_float32(
    model: Model, architecture: Mapping[str, Any], digest: str, sentences: Sequence[str], folder: Path
) -> Manifest:
    """Describe the artifact in ``folder``, compare it with the reference model, and write its manifest.

    The range of its vectors is that of ``sentences``.
    """
    manifest = describe(model, architecture, digest, folder)
    manifest.write(folder)
    with both_ways(lambda: Encoder(folder)) as encoders:
        if not model.include_prompt:
            verify_behind_prompt(model, manifest, encoders, folder)
        agreement = parity.worst([parity.verify(encoder, folder) for encoder in encoders])
        vectors = encoders[0].encode(list(sentences), truncate="silent")
        manifest = replace(
            manifest, parity=agreement.to_json(), verified=True, output_range=float(np.abs(vectors).max())
        )
    manifest.write(folder)
    return manifest


def verify_behind_prompt(model: Model, manifest: Manifest, encoders: Sequence[Encoder], folder: Path) -> None:
    """Compare vectors of texts behind a prompt, whose tokens pooling leaves out, with the reference model's."""
    prompt = next((prompt for prompt in model.checkpoint.prompts.values() if prompt), "Represent the sentence: ")
    skipped = model.reference.count_prompt(prompt, model.max_tokens)
    texts = parity.load_check(folder)[0]
    encode = _encode(model)
    reference = np.stack([encode(prompt + text, skipped=skipped) for text in texts])
    for encoder in encoders:
        agreement = parity.compare(encoder.encode(texts, prompt=prompt, truncate="silent"), reference)
        agreement.require(manifest.precision, manifest.architecture)
