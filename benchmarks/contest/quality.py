"""How good are the vectors? Agreement with people's scores, with float32, and with themselves in another batch.

A sentence's batch should not change its vector: the drift is the largest difference of a float between a sentence
encoded alone and the same one among others. STS tasks are NAME.tsv files: score, tab, sentence, tab, sentence.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine.measure.quality import measure as measure_tasks
from simcse_engine.measure.sts import Task, read_tasks

from ..inputs import STS
from ..kept import UNFINISHED, Kept
from .contestant import Contestant
from .field import Field
from .peers.reference import reference_vectors

QUESTION = "agreement with people's scores of similarity, with float32, and alone with in a batch"
ALONE = 100


def measure(
    field: Field, *, sts: str | Path | None = STS, compared: int = 500, pairs: int | None = None, smallest: bool = False
) -> dict[str, Any]:
    kept = Kept(UNFINISHED / f"quality-{field.model.name}.json")
    tasks = [] if sts is None else [shortened(task, pairs) for task in read_tasks(Path(sts))]
    if smallest:
        tasks = sorted(tasks, key=lambda task: len(task.gold))[:1]
    if not tasks:
        print("no STS folder, so no Spearman, alignment or uniformity: --set sts=FOLDER")
    (texts,) = field.draw("quality", 1, compared)
    reference = reference_vectors(field.model, texts)
    sizes = {task.name: len(task.gold) for task in tasks}

    def of_one(name: str, each: Contestant) -> dict[str, Any]:
        print(name, flush=True)
        key = f"{name}, {each.origin}, {len(texts)} texts, {sizes}"
        return kept.once(key, lambda: figures(each, tasks, texts, reference))

    quality = field.each(of_one)
    return {
        "tasks": sizes,
        "compared_with_float32": len(texts),
        "encoded_alone_too": min(ALONE, len(texts)),
        "quality": quality,
    }


def shortened(task: Task, pairs: int | None) -> Task:
    return Task(name=task.name, gold=task.gold[:pairs], first=task.first[:pairs], second=task.second[:pairs])


def figures(each: Contestant, tasks: list[Task], texts: list[str], reference: NDArray[np.float32]) -> dict[str, Any]:
    """One contestant's, at its settings for bulk work."""
    each.process.load(each.bulk)
    vectors = each.process.vectors(texts)
    alone = each.process.vectors(texts[:ALONE], alone=True)
    cosines = (vectors.astype(np.float64) * reference).sum(1) / np.linalg.norm(vectors, axis=1)
    return {
        "sts": measure_tasks(tasks, each.process.vectors).to_json() if tasks else None,
        "cosine_to_float32": {"mean": float(cosines.mean()), "min": float(cosines.min())},
        "drift_with_the_batch": float(np.abs(alone - vectors[:ALONE]).max()),
    }
