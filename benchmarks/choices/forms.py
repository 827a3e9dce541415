"""What does each form of vectors cost on STS, and is one range for all dimensions right for 8 bits?

python -m benchmarks.choices.forms ARTIFACT STS      an artifact in float32, and STS tasks as `evaluate` takes them

Spearman x 100 of what a store would compute from the stored numbers: cosines, and Hamming distances of bits.
"""

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from simcse_engine import Encoder
from simcse_engine.forms import DType, VectorForm
from simcse_engine.measure.cosines import pair_cosines
from simcse_engine.measure.quality import spearman
from simcse_engine.measure.sts import Task, read_tasks
from simcse_export.texts.corpora import built_in

from ..record import write_result

DIMENSIONS = (384, 256, 192, 128, 64)

Array = NDArray[Any]
# Likeness of the rows of two arrays.
Likeness = Callable[[Array, Array], Array]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact")
    parser.add_argument("sts", type=Path)
    arguments = parser.parse_args()
    tasks = read_tasks(arguments.sts)
    with Encoder(arguments.artifact, truncate="silent") as encoder:
        manifest = encoder.manifest
        sides = {task.name: (encoder.encode(task.first), encoder.encode(task.second)) for task in tasks}
        calibration = encoder.encode(built_in("calibration"))
    score = partial(_score, tasks, sides)
    forms = {
        dimensions: {
            dtype: score(VectorForm.of(manifest, dimensions, dtype).apply, _likeness(dtype))
            for dtype in get_args(DType)
        }
        for dimensions in DIMENSIONS
        if dimensions <= manifest.dimension
    }
    schemes = {name: score(convert, _cosines) for name, convert in _schemes(calibration).items()}
    about = {
        "question": "Spearman x 100 on STS of cosines of the stored numbers, and of Hamming distances of bits",
        "checkpoint": manifest.source.id,
        "pooler": manifest.pooler,
        "pairs": {task.name: len(task.gold) for task in tasks},
    }
    write_result("forms", about, {"forms": forms, "int8": schemes})


def _score(
    tasks: list[Task], sides: Mapping[str, tuple[Array, Array]], convert: Callable[[Array], Array], likeness: Likeness
) -> dict[str, float]:
    """Spearman of each task, and their average, for vectors that ``convert`` makes."""
    scores = {task.name: spearman(likeness(*map(convert, sides[task.name])), task.gold) for task in tasks}
    return {**scores, "average": float(np.mean(list(scores.values())))}


def _likeness(dtype: DType) -> Likeness:
    return _shared_bits if dtype in ("binary", "ubinary") else _cosines


def _cosines(left: Array, right: Array) -> Array:
    rows = np.arange(len(left))
    return pair_cosines(np.concatenate([left, right]), rows, rows + len(left))


def _shared_bits(left: Array, right: Array) -> Array:
    """The negative Hamming distances of packed bits."""
    return -np.unpackbits((left ^ right).view(np.uint8), axis=1).sum(axis=1).astype(np.float64)


def _schemes(calibration: Array) -> dict[str, Callable[[Array], Array]]:
    """Ways to make 8 bits of all dimensions, each by what it takes from vectors of calibration sentences."""
    magnitudes = np.abs(calibration)
    low, high = calibration.min(axis=0), calibration.max(axis=0)
    return {
        "one range": partial(_scaled, limit=magnitudes.max()),
        "one range, of all but 0.1 % of the numbers": partial(_scaled, limit=np.quantile(magnitudes, 0.999)),
        "one range, of all but 1 % of the numbers": partial(_scaled, limit=np.quantile(magnitudes, 0.99)),
        "a range for each dimension, around 0": partial(_scaled, limit=magnitudes.max(axis=0)),
        "from the least to the largest number of each dimension": partial(_from_least, low=low, high=high),
    }


def _scaled(vectors: Array, limit: Any) -> Array:
    return np.clip(np.rint(vectors * (127 / limit)), -127, 127).astype(np.int8)


def _from_least(vectors: Array, low: Array, high: Array) -> Array:
    """As sentence-transformers' `quantize_embeddings`, but for numbers beyond the range, which wrap around there."""
    return np.clip((vectors - low) / ((high - low) / 255) - 128, -128, 127).astype(np.int8)


if __name__ == "__main__":
    main()
