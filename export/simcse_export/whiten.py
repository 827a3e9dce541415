"""Whitening at export: a corpus through the model without it, in float32, and the map that comes of it."""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from simcse_engine import Encoder
from simcse_engine.measure import parity
from simcse_engine.measure.quality import Quality
from simcse_engine.prompts import DOCUMENT

from .checkpoint.model import Model
from .float32 import describe, write_float32
from .gate import Gate
from .tail.whitening import Moments, Whitening


def whitened(
    model: Model, corpus: Sequence[str], dimensions: int | None, gate: Gate, folder: Path
) -> tuple[Model, Quality | None]:
    """The model with the whitening of ``corpus`` as the last part of its tail; its quality without, if there are tasks.

    It keeps so many ``dimensions``, for None those that the checkpoint's vectors are cut to, or all that vary. An
    artifact of the model as it is lies in ``folder`` meanwhile.
    """
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        plain, raw = replace(model, truncate_dim=None, normalize=False), Path(temporary)
        architecture, digest = write_float32(plain, raw)
        # There is nothing to compare with yet: that is for the artifact with the map.
        parity.save_check(raw, [], np.zeros((0, plain.dimension), np.float32))
        describe(plain, architecture, digest, raw).write(raw)
        moments = Moments(plain.dimension)
        with Encoder(raw) as encoder:
            # The prompt that an index puts before its documents.
            for block in encoder.stream(corpus, truncate="silent", **encoder.prompts.for_kind(DOCUMENT, {})):
                moments.add(block)
            quality = gate.score(encoder) if gate.tasks else None
    sentences = hashlib.sha256("\n".join(corpus).encode()).hexdigest()
    part = Whitening.of(moments, dimensions or model.truncate_dim, sentences)
    return replace(model, tail=(*model.tail, part), truncate_dim=None), quality
