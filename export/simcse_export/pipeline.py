"""Checkpoint → artifact, in order: read, author, write, verify, publish.

A cheaper precision begins with its float32 twin, which must agree with transformers like any other artifact. Beside
that twin, which is then dropped, the quality gate measures what the precision costs.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from simcse_engine import Encoder, parity
from simcse_engine.artifact import ARTIFACT_FILES, CHECK, GRAPH, TOKENIZER, WEIGHTS, Manifest, Source
from simcse_engine.atomic import refuse_existing, whole_folder
from simcse_engine.errors import InputValueError, OutputError, UnsupportedModelError
from simcse_engine.session import import_runtime, save_optimized
from simcse_engine.tokenizer import Tokenizer

from .calibration import built_in, read_texts, thinned
from .checkpoint import choose_max_tokens, choose_pooler, open_checkpoint
from .dialect import CpuFp32, Dialect
from .gate import MAX_QUALITY_DROP, Gate
from .graph import TOKEN_TYPES, Architecture, author
from .int8 import CpuInt8
from .optimum import author_through_optimum
from .quantize import quantize
from .reference import Reference
from .texts import check_texts
from .weights import digest, load_weights, select

# Smaller tensors stay in the graph's file; larger ones go beside it, where the runtime maps them into memory.
_EXTERNAL_BYTES = 1024

_STATED_VERSIONS = ("simcse-engine", "onnx", "torch", "transformers", "optimum-onnx", "tokenizers")

# What a config says of its own writing, not of the model.
_INCIDENTAL = {"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version", "use_cache"}

_HEAD = ("pooler.dense.weight", "pooler.dense.bias")

PRECISIONS = ("fp32", "int8")
TARGETS = ("cpu",)

# The float32 twin of a cheaper precision, in the folder under construction.
_TWIN = "float32"

Say = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to make of a checkpoint.

    Attributes:
        revision: branch, tag or commit, for a hub id.
        pooler: one of `simcse_engine.artifact.POOLERS`; None for what the checkpoint's files state.
        precision: "fp32", or "int8" (BERT and RoBERTa).
        target: "cpu".
        max_tokens: longest text; None for what the checkpoint's files state, else 128.
        normalize: give unit vectors.
        calibration: a file of sentences, one a line, to choose int8's numbers by; None for the built-in ones.
        sts: a folder of STS tasks to judge a cheaper precision by, see `simcse_engine.sts.read_tasks`.
        max_quality_drop: largest fall of the tasks' average Spearman x 100.
        force: replace an artifact that is there already.
    """

    revision: str | None = None
    pooler: str | None = None
    precision: str = "fp32"
    target: str = "cpu"
    max_tokens: int | None = None
    normalize: bool = True
    calibration: Path | None = None
    sts: Path | None = None
    max_quality_drop: float = MAX_QUALITY_DROP
    force: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (("precision", self.precision, PRECISIONS), ("target", self.target, TARGETS)):
            if value not in known:
                raise InputValueError(f"{name} {value!r} is unknown; {', '.join(known)} can be exported")


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
        The published manifest, with the measured parity and quality.

    Raises:
        ExportError: the checkpoint cannot be exported; the subclass says why.
        QualityError: the precision costs more than was allowed; nothing was published.
        ParityError: the artifact disagrees with transformers; nothing was published.
        OutputError: ``artifact`` exists (without ``force``), is a folder of other things, or cannot be written.
    """
    options = options or ExportOptions()
    target = Path(artifact)
    refuse_existing(target, replace=options.force)
    _refuse_other_folders(target)
    import_runtime()
    steps = 4 if options.precision == "fp32" else 6
    say(f"[1/{steps}] reading {checkpoint}")
    job = _Job(checkpoint, options)

    say(f"[2/{steps}] writing the graph: pooler {job.pooler}, at most {job.max_tokens} tokens")
    with whole_folder(target, replace=options.force) as staging:
        if options.precision == "fp32":
            return job.make(staging, job.write_float(staging), lambda at, what: say(f"[{at}/{steps}] {what}"))
        twin = staging / _TWIN
        twin.mkdir()
        exact = job.make(twin, job.write_float(twin), lambda at, what: say(f"[{at}/{steps}] {what}"))
        say(f"[5/{steps}] choosing {options.precision} weights and scales")
        job.write_int8(staging, Tokenizer(twin / TOKENIZER, job.max_tokens))
        for name in (TOKENIZER, CHECK):
            shutil.copyfile(twin / name, staging / name)
        say(f"[6/{steps}] measuring what {options.precision} costs")
        return job.judge(staging, exact)


class _Job:
    """One checkpoint on its way to one artifact."""

    def __init__(self, checkpoint: str | os.PathLike[str], options: ExportOptions) -> None:
        self.options = options
        # What the user gave is read first: a typing slip shall not cost minutes.
        cheaper = options.precision != "fp32"
        self.gate = Gate.of(options.sts, options.max_quality_drop) if cheaper else None
        self.sentences = built_in("calibration") if options.calibration is None else read_texts(options.calibration)
        self.source = open_checkpoint(checkpoint, options.revision)
        self.numbers = Architecture.of(self.source.config)
        if cheaper and self.numbers is None:
            raise UnsupportedModelError(
                f"{self.source.id}: {options.precision} is for BERT and RoBERTa, whose graphs are written here; "
                "export this model with --precision fp32"
            )
        self.weights = load_weights(self.source.folder)
        has_head = self.weights.keys() >= set(_HEAD)
        self.pooler = choose_pooler(self.source, options.pooler, has_head=has_head)
        self.max_tokens = choose_max_tokens(self.source, options.max_tokens)
        self.head = (self.weights[_HEAD[0]], self.weights[_HEAD[1]]) if self.pooler == "cls" else None
        self.reference = Reference(self.source)

    def write_float(self, folder: Path) -> tuple[dict[str, Any], str]:
        """Write graph and weights in float32: authored where the architecture is known here, else through optimum.

        Returns:
            What the manifest says of the architecture, and the digest of the model.
        """
        if self.numbers is None:
            return self._write_through_optimum(folder)
        facts = asdict(self.numbers)
        self.weights = select(self.weights, self.numbers.shapes(self.pooler), optional=[TOKEN_TYPES])
        self._author(CpuFp32(), folder)
        return {"graph": "authored", **facts}, digest(self.weights, facts)

    def _write_through_optimum(self, folder: Path) -> tuple[dict[str, Any], str]:
        model = self.reference.model
        if self.head is not None:
            hidden = model.config.hidden_size
            select(self.weights, {_HEAD[0]: (hidden, hidden), _HEAD[1]: (hidden,)})
        graph = author_through_optimum(
            model, pooler=self.pooler, head=self.head, normalize=self.options.normalize, folder=folder
        )
        # The engine loads graphs as they lie there, and what torch traced is not yet as it should run.
        with tempfile.TemporaryDirectory(dir=folder) as raw:
            _save_onnx(graph, Path(raw) / GRAPH)
            save_optimized(Path(raw) / GRAPH, folder / GRAPH, WEIGHTS)
        facts = {key: value for key, value in sorted(self.source.config.items()) if key not in _INCIDENTAL}
        # A head that the pooler leaves out is no part of the model.
        used = {name: array for name, array in self.weights.items() if self.head or not name.startswith("pooler.")}
        return {"graph": "optimum", **facts}, digest(used, facts)

    def write_int8(self, folder: Path, tokenizer: Tokenizer) -> None:
        """Choose the integers on the calibration sentences, and write graph and weights."""
        assert self.numbers is not None  # the constructor refused
        first_only = self.pooler in ("cls", "cls_before_pooler")
        sentences = thinned(tokenizer.encode(self.sentences).ids)
        self._author(CpuInt8(quantize(self.numbers, self.weights, sentences, first_only=first_only)), folder)

    def _author(self, dialect: Dialect, folder: Path) -> None:
        assert self.numbers is not None
        graph = author(self.numbers, self.weights, dialect, pooler=self.pooler, normalize=self.options.normalize)
        _save_onnx(graph, folder / GRAPH)

    def make(self, folder: Path, written: tuple[dict[str, Any], str], say: Callable[[int, str], object]) -> Manifest:
        """Make a whole float32 artifact around the graph in ``folder``, and compare it with transformers."""
        architecture, model_digest = written
        if self.options.precision == "fp32":
            self.weights = {}  # of a large model these are gigabytes, and the reference loads its own
        self.reference.save_tokenizer(folder / TOKENIZER)
        say(3, "running the reference model")
        texts = check_texts(self.reference.count_tokens, self.max_tokens)
        how = {"pooler": self.pooler, "head": self.head, "max_tokens": self.max_tokens}
        vectors = [self.reference.encode(text, normalize=self.options.normalize, **how) for text in texts]
        parity.save_check(folder, texts, np.stack(vectors))
        manifest = Manifest.describe(
            folder,
            source=Source(id=self.source.id, revision=self.source.revision, digest=model_digest),
            architecture=architecture,
            pooler=self.pooler,
            normalized=self.options.normalize,
            precision="fp32",
            target=self.options.target,
            dimension=len(vectors[0]),
            max_tokens=self.max_tokens,
            mixed_lengths=True,
            versions={name: version(name) for name in _STATED_VERSIONS},
        )
        manifest.write(folder)
        say(4, "comparing the artifact with it")
        with Encoder(folder) as encoder:
            return _publishable(manifest, encoder, folder)

    def judge(self, folder: Path, exact: Manifest) -> Manifest:
        """Make a whole artifact of the cheaper precision in ``folder``, judged beside its float32 twin, which goes."""
        assert self.gate is not None
        facts = {"precision": self.options.precision, "mixed_lengths": False, "parity": None, "verified": None}
        manifest = replace(exact, files=Manifest.files_in(folder), **facts)
        manifest.write(folder)
        with Encoder(folder) as encoder, Encoder(folder / _TWIN) as twin:
            found = {"calibration": self._calibrated_on(), **self.gate.measure(encoder, twin)}
            manifest = _publishable(replace(manifest, quality=found), encoder, folder)
        shutil.rmtree(folder / _TWIN)
        return manifest

    def _calibrated_on(self) -> str:
        given = self.options.calibration
        return "built-in" if given is None else given.name


def _publishable(manifest: Manifest, encoder: Encoder, folder: Path) -> Manifest:
    """The manifest with what `parity.verify` finds, written."""
    measured = parity.verify(encoder, folder)
    manifest = replace(manifest, parity=measured.to_json(), verified=True)
    manifest.write(folder)
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


def _save_onnx(model: onnx.ModelProto, path: Path) -> None:
    onnx.save_model(
        model,
        path,
        save_as_external_data=True,
        location=WEIGHTS,
        size_threshold=_EXTERNAL_BYTES,
        convert_attribute=False,
    )
