"""A variant: the model in another precision or for another target, judged beside its float32 twin."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import CHECK, TOKENIZER, Manifest
from simcse_engine.measure import parity
from simcse_engine.tokenizer import Tokenizer

from .checkpoint.architecture import Architecture
from .checkpoint.model import Model
from .checkpoint.ranges import wide_layers
from .float32 import write_graph
from .gate import Gate
from .int8.calibration import thinned
from .options import ExportOptions
from .targets import Spelling, spell


@dataclass(frozen=True, kw_only=True)
class Twin:
    """The float32 artifact beside a variant.

    Attributes:
        folder: where it lies.
        manifest: what it says.
        ranges: a linear layer's name → the largest magnitude of its results.
    """

    folder: Path
    manifest: Manifest
    ranges: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A variant that lies in its folder, not yet judged."""

    folder: Path
    manifest: Manifest
    architecture: Architecture
    spelling: Spelling


def write_variant(model: Model, twin: Twin, sentences: Sequence[str], options: ExportOptions, folder: Path) -> Variant:
    """Write the artifact of the options' precision and target into ``folder``, all but what judging it measures.

    Args:
        model: one whose architecture is known.
        twin: its float32 artifact.
        sentences: what int8 is calibrated on.
        options: what to make.
        folder: where the artifact goes.
    """
    architecture = model.architecture
    assert architecture is not None  # `read_model` refused others
    tokens: Sequence[Sequence[int]] = ()
    if options.precision == "int8":
        tokens = thinned(Tokenizer(twin.folder / TOKENIZER, model.max_tokens).encode(sentences).ids)
    wide = wide_layers(twin.ranges) if options.precision != "fp32" else frozenset()
    spelling = spell(model, architecture, options, wide=wide, calibration=tokens)
    write_graph(model, architecture, spelling.weights, spelling.dialect, folder)
    for name in (TOKENIZER, CHECK):
        shutil.copyfile(twin.folder / name, folder / name)
    manifest = replace(
        twin.manifest,
        precision=options.precision,
        target=options.target,
        max_batch=options.run_sentences,
        layout=spelling.dialect.layout.name,
        padding_id=architecture.padding_id if architecture.family == "roberta" else None,
        files=Manifest.files_in(folder),
        parity=None,
        verified=None,
    )
    manifest.write(folder)
    return Variant(folder=folder, manifest=manifest, architecture=architecture, spelling=spelling)


def judge_variant(model: Model, variant: Variant, twin: Twin, gate: Gate, options: ExportOptions) -> Manifest:
    """Measure what the precision costs, and compare with the reference model.

    Returns:
        The variant's manifest with both.

    Raises:
        QualityError: the precision costs more than the gate allows.
        ParityError: the variant disagrees with the reference model.
    """
    manifest = variant.manifest
    with _on_cpu(model, variant) as cheap, Encoder(twin.folder) as exact:
        if options.precision != "fp32":
            corpus = "built-in" if options.calibration is None else options.calibration.name
            calibration = {"calibration": corpus} if options.precision == "int8" else {}
            manifest = replace(manifest, quality={**calibration, **gate.measure(cheap, exact)})
        agreement = parity.verify(cheap, variant.folder)
    return replace(manifest, parity=agreement.to_json(), verified=True if options.target == "cpu" else None)


@contextlib.contextmanager
def _on_cpu(model: Model, variant: Variant) -> Iterator[Encoder]:
    """The variant, or the part of it that a CPU can run, opened on a CPU."""
    if variant.spelling.on_cpu is None:
        with Encoder(variant.folder, device="cpu") as encoder:
            yield encoder
        return
    with tempfile.TemporaryDirectory(dir=variant.folder) as temporary:
        copy = Path(temporary)
        write_graph(model, variant.architecture, variant.spelling.weights, variant.spelling.on_cpu, copy)
        for name in (TOKENIZER, CHECK):
            shutil.copyfile(variant.folder / name, copy / name)
        replace(variant.manifest, target="cpu", files=Manifest.files_in(copy)).write(copy)
        with Encoder(copy) as encoder:
            yield encoder
