"""A variant: the model in another precision or for another target, judged beside its float32 twin."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import CHECK, TOKENIZER, Manifest
from simcse_engine.measure import parity
from simcse_engine.measure.ways import both_ways

from .checkpoint.beside import write_beside
from .checkpoint.model import Model
from .float32 import verify_behind_prompt, write_graph
from .gate import Gate
from .options import ExportOptions
from .targets import Spelling

# The float32 twin, in the folder of a variant under construction.
TWIN = "float32"


def write_variant(model: Model, spelling: Spelling, twin: Manifest, options: ExportOptions, folder: Path) -> Manifest:
    """Write the artifact into ``folder``, where its twin lies; its manifest, still without parity and quality."""
    write_graph(model, spelling.weights, spelling.dialect, folder)
    for name in (TOKENIZER, CHECK):
        shutil.copyfile(folder / TWIN / name, folder / name)
    if options.layout == "padded":
        write_beside(model, folder)
    manifest = replace(
        twin,
        precision=options.precision,
        target=options.target,
        max_batch=options.run_sentences,
        layout=spelling.dialect.layout.name,
        padding_id=model.architecture.skipped_id,
        files=Manifest.files_in(folder),
        parity=None,
        verified=None,
    )
    manifest.write(folder)
    return manifest


def judge_variant(
    model: Model, spelling: Spelling, manifest: Manifest, options: ExportOptions, gate: Gate, folder: Path
) -> Manifest:
    """Measure what the precision costs, and compare with the reference model; the manifest with both."""
    with both_ways(lambda: _on_cpu(model, spelling, manifest, folder)) as cheap, Encoder(folder / TWIN) as exact:
        if options.precision != "fp32":
            corpus = "built-in" if options.calibration is None else options.calibration.name
            calibration = {"calibration": corpus} if options.precision == "int8" else {}
            manifest = replace(manifest, quality={**calibration, **gate.measure(cheap, exact)})
        elif gate.tasks:
            # The twin's, whose vectors these are.
            manifest = replace(manifest, quality={"sts": gate.score(exact).to_json()})
        if not model.include_prompt:
            verify_behind_prompt(model, manifest, cheap, folder)
        agreement = parity.worst([parity.verify(encoder, folder) for encoder in cheap])
    return replace(manifest, parity=agreement.to_json(), verified=True if options.target == "cpu" else None)


@contextlib.contextmanager
def _on_cpu(model: Model, spelling: Spelling, manifest: Manifest, folder: Path) -> Iterator[Encoder]:
    """The variant in ``folder``, or what of it a CPU can run, opened on a CPU."""
    if spelling.on_cpu is None:
        with Encoder(folder, device="cpu") as encoder:
            yield encoder
        return
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        copy = Path(temporary)
        write_graph(model, spelling.weights, spelling.on_cpu, copy)
        for name in (TOKENIZER, CHECK):
            shutil.copyfile(folder / name, copy / name)
        replace(manifest, target="cpu", files=Manifest.files_in(copy)).write(copy)
        with Encoder(copy) as encoder:
            yield encoder
