"""One checkpoint on its way to one artifact: the steps that `pipeline` puts in order."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import CHECK, GRAPH, TOKENIZER, WEIGHTS, Manifest, Source
from simcse_engine.errors import UnsupportedModelError
from simcse_engine.measure import parity
from simcse_engine.session import save_optimized
from simcse_engine.tokenizer import Tokenizer

from .checkpoint.architecture import TOKEN_TYPES, Architecture, Weights
from .checkpoint.checkpoint import choose_max_tokens, choose_pooler, open_checkpoint
from .checkpoint.ranges import recording_ranges, wide_layers
from .checkpoint.reference import Reference
from .checkpoint.weights import digest, load_weights, select
from .gate import Gate
from .graph.bert import author
from .graph.dialects.cpu import CpuFp32
from .graph.dialects.dialect import Dialect
from .graph.optimum import author_through_optimum
from .int8.calibration import thinned
from .options import ExportOptions
from .targets import Model, Spelling, spell
from .tensorrt.rtx import check_capabilities, compile_engines
from .texts.check import check_texts
from .texts.corpora import built_in, read_corpus

# Smaller tensors stay in the graph's file; larger ones go beside it, where the runtime maps them into memory.
_EXTERNAL_BYTES = 1024

_STATED_VERSIONS = ("simcse-engine", "onnx", "torch", "transformers", "optimum-onnx", "tokenizers")

# What a config says of its own writing, not of the model.
_INCIDENTAL = {"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version", "use_cache"}

_HEAD = ("pooler.dense.weight", "pooler.dense.bias")

# The float32 twin of a cheaper precision, in the folder under construction.
_TWIN = "float32"


class Job:
    """What is known of the checkpoint, and the steps."""

    def __init__(
        self, checkpoint: str | os.PathLike[str], options: ExportOptions, begin: Callable[[str], object]
    ) -> None:
        """Read the checkpoint.

        Args:
            checkpoint: a local folder, or a hub id.
            options: what to make.
            begin: called with each step that begins from here on.

        Raises:
            SimCSEError: something given cannot be used; the subclass says why.
        """
        self.options = options
        self.begin = begin
        # What the user gave is read first: a typing slip shall not cost minutes.
        if options.compute_capability:
            check_capabilities(options.compute_capability)
        self.gate = Gate.of(options.sts, options.max_quality_drop)
        given = options.calibration
        self.sentences = built_in("calibration") if given is None else read_corpus(given)
        self.source = open_checkpoint(checkpoint, options.revision)
        self.numbers = Architecture.of(self.source.config)
        if self.numbers is None and not options.first_on_cpu:
            raise UnsupportedModelError(
                f"{self.source.id}: {options.precision} for {options.target} is for BERT and RoBERTa, whose graphs are "
                "written here; export this model with --precision fp32 for --target cpu"
            )
        self.weights = load_weights(self.source.folder)
        has_head = self.weights.keys() >= set(_HEAD)
        self.pooler = choose_pooler(self.source, options.pooler, has_head=has_head)
        self.max_tokens = choose_max_tokens(self.source, options.max_tokens)
        self.head = (self.weights[_HEAD[0]], self.weights[_HEAD[1]]) if self.pooler == "cls" else None
        self.reference = Reference(self.source)

    def twin_in(self, folder: Path) -> Path:
        """The place of the float32 twin that a cheaper precision's folder holds while it is made."""
        twin = folder / _TWIN
        twin.mkdir()
        return twin

    def make_float(self, folder: Path) -> Manifest:
        """Make a whole float32 artifact, and compare it with transformers."""
        self.begin(f"writing the graph: pooler {self.pooler}, at most {self.max_tokens} tokens")
        architecture, model_digest = self._write_float(folder)
        if self.options.first_on_cpu:
            self.weights = {}  # of a large model these are gigabytes, and the reference loads its own
        self.reference.save_tokenizer(folder / TOKENIZER)
        self.begin("running the reference model")
        texts = check_texts(self.reference.count_tokens, self.max_tokens)
        how = {"pooler": self.pooler, "head": self.head, "max_tokens": self.max_tokens}
        with recording_ranges(self.reference.model) as self.largest:
            vectors = [self.reference.encode(text, normalize=self.options.normalize, **how) for text in texts]
        parity.save_check(folder, texts, np.stack(vectors))
        manifest = Manifest.describe(
            folder,
            source=Source(id=self.source.id, revision=self.source.revision, digest=model_digest),
            architecture=architecture,
            pooler=self.pooler,
            normalized=self.options.normalize,
            precision="fp32",
            target="cpu",
            dimension=len(vectors[0]),
            max_tokens=self.max_tokens,
            max_batch=None,
            layout="ragged",
            padding_id=None,
            versions={name: version(name) for name in _STATED_VERSIONS},
        )
        manifest.write(folder)
        self.begin("comparing the artifact with it")
        with Encoder(folder) as encoder:
            return _publishable(manifest, encoder, folder)

    def score(self, folder: Path, manifest: Manifest) -> Manifest:
        """Add what a float32 artifact reaches on the STS tasks, if there are any, to its manifest."""
        if self.gate.tasks:
            self.begin("scoring it on the STS tasks")
            with Encoder(folder) as encoder:
                manifest = replace(manifest, quality={"sts": self.gate.score(encoder).to_json()})
            manifest.write(folder)
        return manifest

    def make_other(self, folder: Path, exact: Manifest) -> Manifest:
        """Make a whole artifact of another precision or target, judged beside its float32 twin.

        Args:
            folder: where it goes; the twin lies in it, and goes.
            exact: the twin's manifest.
        """
        assert self.numbers is not None  # the constructor refused
        options, twin_folder = self.options, folder / _TWIN
        self.begin(f"writing the {options.precision} graph for {options.target}")
        spelling = spell(self._model(Tokenizer(twin_folder / TOKENIZER, self.max_tokens)), options)
        self._author(spelling.dialect, spelling.weights, folder)
        for name in (TOKENIZER, CHECK):
            shutil.copyfile(twin_folder / name, folder / name)
        manifest = replace(
            exact,
            precision=options.precision,
            target=options.target,
            max_batch=options.run_sentences,
            layout=spelling.dialect.layout.name,
            padding_id=self.numbers.padding_id if self.numbers.family == "roberta" else None,
            files=Manifest.files_in(folder),
            parity=None,
            verified=None,
        )
        manifest.write(folder)
        self.begin(f"measuring what {options.precision} for {options.target} costs")
        with self._on_cpu(spelling, folder, manifest) as cheap, Encoder(twin_folder) as twin:
            if options.precision != "fp32":
                given = "built-in" if options.calibration is None else options.calibration.name
                calibration = {"calibration": given} if options.precision == "int8" else {}
                manifest = replace(manifest, quality={**calibration, **self.gate.measure(cheap, twin)})
            measured = parity.verify(cheap, folder)
        manifest = replace(manifest, parity=measured.to_json(), verified=True if options.target == "cpu" else None)
        if options.compute_capability:
            manifest = self._compile(folder, manifest)
        manifest.write(folder)
        shutil.rmtree(twin_folder)
        return manifest

    def _compile(self, folder: Path, manifest: Manifest) -> Manifest:
        wanted = self.options.compute_capability
        assert manifest.max_batch is not None
        self.begin(f"compiling for compute capability {', '.join(map(str, wanted))}")
        engines = compile_engines(folder, wanted, max_batch=manifest.max_batch, max_tokens=manifest.max_tokens)
        return replace(manifest, engines=engines, files=Manifest.files_in(folder))

    def _model(self, tokenizer: Tokenizer) -> Model:
        assert self.numbers is not None
        return Model(
            architecture=self.numbers,
            weights=self.weights,
            first_only=self.pooler in ("cls", "cls_before_pooler"),
            wide=wide_layers(self.largest) if self.options.precision != "fp32" else frozenset(),
            calibration=lambda: thinned(tokenizer.encode(self.sentences).ids),
        )

    @contextlib.contextmanager
    def _on_cpu(self, spelling: Spelling, folder: Path, manifest: Manifest) -> Iterator[Encoder]:
        """The artifact in ``folder``, or what a CPU can run of it, opened there."""
        if spelling.on_cpu is None:
            with Encoder(folder, device="cpu") as encoder:
                yield encoder
            return
        with tempfile.TemporaryDirectory(dir=folder) as passing:
            copy = Path(passing)
            self._author(spelling.on_cpu, spelling.weights, copy)
            for name in (TOKENIZER, CHECK):
                shutil.copyfile(folder / name, copy / name)
            replace(manifest, target="cpu", files=Manifest.files_in(copy)).write(copy)
            with Encoder(copy) as encoder:
                yield encoder

    def _write_float(self, folder: Path) -> tuple[dict[str, Any], str]:
        """Write graph and weights in float32: authored where the architecture is known here, else through optimum.

        Returns:
            What the manifest says of the architecture, and the digest of the model.
        """
        if self.numbers is None:
            return self._write_through_optimum(folder)
        facts = asdict(self.numbers)
        self.weights = select(self.weights, self.numbers.shapes(self.pooler), optional=[TOKEN_TYPES])
        self._author(CpuFp32(), self.weights, folder)
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

    def _author(self, dialect: Dialect, weights: Weights, folder: Path) -> None:
        assert self.numbers is not None
        graph = author(self.numbers, weights, dialect, pooler=self.pooler, normalize=self.options.normalize)
        _save_onnx(graph, folder / GRAPH)


def _publishable(manifest: Manifest, encoder: Encoder, folder: Path) -> Manifest:
    """The manifest with what `parity.verify` finds, written."""
    measured = parity.verify(encoder, folder)
    manifest = replace(manifest, parity=measured.to_json(), verified=True)
    manifest.write(folder)
    return manifest


def _save_onnx(model: onnx.ModelProto, path: Path) -> None:
    onnx.save_model(
        model,
        path,
        save_as_external_data=True,
        location=WEIGHTS,
        size_threshold=_EXTERNAL_BYTES,
        convert_attribute=False,
    )
