"""Checkpoint → artifact, in order: read, write in float32, write in another precision, judge, publish.

Every other precision or target begins with the float32 artifact for CPUs, which must agree with transformers like any
other. Beside that twin, which is then dropped, the gate measures what the precision costs.
"""

import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import TOKENIZER, Manifest
from simcse_engine.artifact.output import check_output
from simcse_engine.errors import CheckpointWarning
from simcse_engine.files.atomic import whole_folder
from simcse_engine.measure.quality import Quality
from simcse_engine.session.library import import_runtime
from simcse_engine.tokenizer import Tokenizer

from .checkpoint.model import read_model
from .float32 import run_reference, verify_float32, write_float32
from .gate import Gate
from .int8.calibration import thinned
from .options import MAX_BATCH, ExportOptions
from .targets import check_target, spell
from .tensorrt.rtx import check_capabilities, compile_plans
from .texts.corpora import built_in, read_corpus
from .variant import TWIN, judge_variant, write_variant
from .whiten import whitened

Say = Callable[[str], object]


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
    target, steps = Path(artifact), _steps(options)

    def begin(step: str, line: str) -> None:
        say(f"[{steps.index(step) + 1}/{len(steps)}] {line}")

    check_output(target, force=options.force)
    import_runtime()

    begin("read", f"reading {checkpoint}")
    # The user's own files and choices come first: a typing error must not cost minutes.
    if options.compute_capability:
        check_capabilities(options.compute_capability)
    gate = Gate.of(options.sts, options.max_quality_drop)
    sentences = built_in("calibration") if options.calibration is None else read_corpus(options.calibration)
    corpus = None if options.whiten is None else read_corpus(options.whiten, "whitening")
    model = read_model(checkpoint, options)
    check_target(model, options)
    for warning in model.checkpoint.warnings:
        warnings.warn(warning, CheckpointWarning, stacklevel=2)

    with whole_folder(target, replace=options.force) as staging:
        folder = staging if options.first_on_cpu else staging / TWIN
        folder.mkdir(exist_ok=True)
        before = None
        if corpus is not None:
            begin("whiten", f"whitening by the vectors of {len(corpus)} sentences")
            model, before = whitened(model, corpus, options.dimensions, gate, staging)
        begin("write", f"writing the graph: pooler {model.pooler}, at most {model.max_tokens} tokens")
        architecture, digest = write_float32(model, folder)
        if options.first_on_cpu:
            # Gigabytes of a large model, and the reference loads its own.
            model = replace(model, weights={})
        begin("run", "running the reference model")
        ranges = run_reference(model, folder)
        begin("compare", "comparing the artifact with it")
        manifest = verify_float32(model, architecture, digest, sentences, folder)

        if options.first_on_cpu:
            if options.sts:
                begin("score", "scoring it on the STS tasks")
                with Encoder(folder) as encoder:
                    manifest = replace(manifest, quality={"sts": gate.score(encoder).to_json(), **_unwhitened(before)})
                manifest.write(folder)
            return manifest

        begin("write variant", f"writing the {options.precision} graph for {options.target}")
        tokenizer = Tokenizer(folder / TOKENIZER, model.max_tokens)
        spelling = spell(model, options, ranges=ranges, calibration=lambda: thinned(tokenizer.encode(sentences).ids))
        manifest = write_variant(model, spelling, manifest, options, staging)
        begin("judge", f"measuring what {options.precision} for {options.target} costs")
        manifest = judge_variant(model, spelling, manifest, options, gate, staging)
        if before is not None:
            manifest = replace(manifest, quality={**(manifest.quality or {}), **_unwhitened(before)})
        if options.compute_capability:
            begin("compile", f"compiling for compute capability {', '.join(map(str, options.compute_capability))}")
            plans = compile_plans(
                staging,
                options.compute_capability,
                max_batch=options.max_batch or MAX_BATCH,
                max_tokens=model.max_tokens,
            )
            manifest = replace(manifest, engines=plans, files=Manifest.files_in(staging))
        manifest.write(staging)
        shutil.rmtree(folder)
        return manifest


def _unwhitened(before: Quality | None) -> dict[str, Any]:
    """Of a whitened model: its quality without the map, where it was measured."""
    return {} if before is None else {"sts_unwhitened": before.to_json()}


def _steps(options: ExportOptions) -> list[str]:
    steps = ["read", *(["whiten"] if options.whiten else []), "write", "run", "compare"]
    if options.first_on_cpu:
        return [*steps, "score"] if options.sts else steps
    return [*steps, "write variant", "judge", *(["compile"] if options.compute_capability else [])]
