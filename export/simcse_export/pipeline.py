"""Checkpoint → artifact, in order: read, author, write, verify, publish."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from simcse_engine import Encoder, parity
from simcse_engine.artifact import ARTIFACT_FILES, GRAPH, TOKENIZER, WEIGHTS, Manifest, Source
from simcse_engine.atomic import refuse_existing, whole_folder
from simcse_engine.errors import OutputError
from simcse_engine.session import import_runtime, save_optimized

from .checkpoint import Checkpoint, choose_max_tokens, choose_pooler, open_checkpoint
from .dialect import CpuFp32
from .graph import TOKEN_TYPES, Architecture, author
from .optimum import Head, author_through_optimum
from .reference import Reference
from .texts import check_texts
from .weights import Weights, digest, load_weights, select

# Smaller tensors stay in the graph's file; larger ones go beside it, where the runtime maps them into memory.
_EXTERNAL_BYTES = 1024

_STATED_VERSIONS = ("simcse-engine", "onnx", "torch", "transformers", "optimum-onnx", "tokenizers")

# What a config says of its own writing, not of the model.
_INCIDENTAL = {"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version", "use_cache"}

_HEAD = ("pooler.dense.weight", "pooler.dense.bias")

Say = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to make of a checkpoint.

    Attributes:
        revision: branch, tag or commit, for a hub id.
        pooler: one of `simcse_engine.artifact.POOLERS`; None for what the checkpoint's files state.
        precision: "fp32".
        target: "cpu".
        max_tokens: longest text; None for what the checkpoint's files state, else 128.
        normalize: give unit vectors.
        force: replace an artifact that is there already.
    """

    revision: str | None = None
    pooler: str | None = None
    precision: str = "fp32"
    target: str = "cpu"
    max_tokens: int | None = None
    normalize: bool = True
    force: bool = False


def export(
    checkpoint: str | os.PathLike[str],
    artifact: str | os.PathLike[str],
    options: ExportOptions | None = None,
    *,
    say: Say = str,
) -> Manifest:
    """Export a checkpoint, check the result against transformers, and publish it whole or not at all.

    Args:
        checkpoint: a local folder, or a hub id.
        artifact: the folder to make.
        options: what to make.
        say: called with a line on each step.

    Returns:
        The published manifest, with the measured parity.

    Raises:
        ExportError: the checkpoint cannot be exported; the subclass says why.
        ParityError: the artifact disagrees with transformers; nothing was published.
        OutputError: ``artifact`` exists (without ``force``), is a folder of other things, or cannot be written.
    """
    options = options or ExportOptions()
    target = Path(artifact)
    refuse_existing(target, replace=options.force)
    _refuse_other_folders(target)
    import_runtime()
    say(f"[1/4] reading {checkpoint}")
    source = open_checkpoint(checkpoint, options.revision)
    weights = load_weights(source.folder)
    head = (weights[_HEAD[0]], weights[_HEAD[1]]) if weights.keys() >= set(_HEAD) else None
    pooler = choose_pooler(source, options.pooler, has_head=head is not None)
    max_tokens = choose_max_tokens(source, options.max_tokens)
    head = head if pooler == "cls" else None
    reference = Reference(source)

    say(f"[2/4] writing the graph: pooler {pooler}, at most {max_tokens} tokens")
    with whole_folder(target, replace=options.force) as staging:
        ending = _Ending(pooler=pooler, head=head, normalize=options.normalize)
        architecture, model_digest = _write_graph(staging, source, weights, reference, ending)
        del weights  # of a large model these are gigabytes, and the reference loads its own
        reference.save_tokenizer(staging / TOKENIZER)

        say("[3/4] running the reference model")
        texts = check_texts(reference.count_tokens, max_tokens)
        vectors = [
            reference.encode(text, pooler=pooler, head=head, max_tokens=max_tokens, normalize=options.normalize)
            for text in texts
        ]
        parity.save_check(staging, texts, np.stack(vectors))
        manifest = Manifest.describe(
            staging,
            source=Source(id=source.id, revision=source.revision, digest=model_digest),
            architecture=architecture,
            pooler=pooler,
            normalized=options.normalize,
            precision=options.precision,
            target=options.target,
            dimension=len(vectors[0]),
            max_tokens=max_tokens,
            versions={name: version(name) for name in _STATED_VERSIONS},
        )
        manifest.write(staging)

        say("[4/4] comparing the artifact with it")
        with Encoder(staging) as encoder:
            measured = parity.verify(encoder, staging)
        manifest = replace(manifest, parity=measured.to_json(), verified=True)
        manifest.write(staging)
    return manifest


def _refuse_other_folders(target: Path) -> None:
    """Raise where ``force`` would delete what is no artifact, such as the checkpoint or a home folder."""
    try:
        found = {path.name for path in target.iterdir()} if target.is_dir() else set()
    except OSError as error:
        raise OutputError(f"{target}: cannot be read ({error.strerror})") from error
    other = found - ARTIFACT_FILES
    if found and (other or GRAPH not in found):
        what = f"{min(other)} lies in it" if other else f"no {GRAPH} in it"
        raise OutputError(f"{target}: is a folder of other things ({what}); --force replaces artifacts only")


@dataclass(frozen=True, kw_only=True)
class _Ending:
    """What comes after the last layer; ``head`` is the dense layer of pooler cls, weight [out, in] and bias."""

    pooler: str
    head: Head | None
    normalize: bool


def _write_graph(
    folder: Path, source: Checkpoint, weights: Weights, reference: Reference, ending: _Ending
) -> tuple[dict[str, Any], str]:
    """Write graph and weights into ``folder``: authored where the architecture is known here, else through optimum.

    Returns:
        What the manifest says of the architecture, and the digest of the model.
    """
    numbers = Architecture.of(source.config)
    if numbers is None:
        return _write_through_optimum(folder, source, weights, reference, ending)
    used = select(weights, numbers.shapes(ending.pooler), optional=[TOKEN_TYPES])
    facts = asdict(numbers)
    _save_onnx(author(numbers, used, CpuFp32(), pooler=ending.pooler, normalize=ending.normalize), folder / GRAPH)
    return {"graph": "authored", **facts}, digest(used, facts)


def _write_through_optimum(
    folder: Path, source: Checkpoint, weights: Weights, reference: Reference, ending: _Ending
) -> tuple[dict[str, Any], str]:
    if ending.head is not None:
        hidden = reference.model.config.hidden_size
        select(weights, {_HEAD[0]: (hidden, hidden), _HEAD[1]: (hidden,)})
    model = author_through_optimum(
        reference.model, pooler=ending.pooler, head=ending.head, normalize=ending.normalize, folder=folder
    )
    # The engine loads graphs as they lie there, and what torch traced is not yet as it should run.
    with tempfile.TemporaryDirectory(dir=folder) as raw:
        _save_onnx(model, Path(raw) / GRAPH)
        save_optimized(Path(raw) / GRAPH, folder / GRAPH, WEIGHTS)
    facts = {key: value for key, value in sorted(source.config.items()) if key not in _INCIDENTAL}
    # A head that the pooler leaves out is no part of the model.
    used = {name: array for name, array in weights.items() if ending.head or not name.startswith("pooler.")}
    return {"graph": "optimum", **facts}, digest(used, facts)


def _save_onnx(model: onnx.ModelProto, path: Path) -> None:
    onnx.save_model(
        model,
        path,
        save_as_external_data=True,
        location=WEIGHTS,
        size_threshold=_EXTERNAL_BYTES,
        convert_attribute=False,
    )
