"""Checkpoint → artifact, in order: read, author, write, verify, publish.

Any other precision or target begins with the float32 twin for CPUs, which must agree with transformers like any other
artifact. Beside that twin, which is then dropped, the quality gate measures what the precision costs.
"""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

from simcse_engine.artifact.manifest import Manifest
from simcse_engine.artifact.output import check_output
from simcse_engine.files.atomic import whole_folder
from simcse_engine.session import import_runtime

from .job import Job
from .options import ExportOptions

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
    target = Path(artifact)
    check_output(target, force=options.force)
    import_runtime()
    steps = 6 + bool(options.compute_capability) if not options.first_on_cpu else 5 if options.sts else 4
    step = itertools.count(1)

    def begin(what: str) -> None:
        say(f"[{next(step)}/{steps}] {what}")

    begin(f"reading {checkpoint}")
    job = Job(checkpoint, options, begin)
    with whole_folder(target, replace=options.force) as staging:
        if options.first_on_cpu:
            return job.score(staging, job.make_float(staging))
        return job.make_other(staging, job.make_float(job.twin_in(staging)))
