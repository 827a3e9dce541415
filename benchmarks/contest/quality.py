"""How good are the vectors? Agreement with people's scores, with float32, and with themselves in other company.

A batch should not decide a sentence's vector: the drift is the largest difference of a float between a sentence encoded
alone and the same one among others.

    python -m benchmarks.contest.quality --sts FOLDER      of NAME.tsv files: score, tab, sentence, tab, sentence
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simcse_engine.measure.quality import measure
from simcse_engine.measure.sts import Task, read_tasks

from ..finished import Finished
from ..harness import ROOT, write_result
from .contestant import Contestant
from .field import Field, options
from .peers.environment import PeerError
from .peers.reference import reference_vectors

COMPARED, ALONE = 500, 100
_SHARED = ROOT.parent / "shared/sts"
STS = _SHARED if _SHARED.is_dir() else None


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--sts", type=Path, default=STS, metavar="FOLDER")
    parser.add_argument("--compared", type=int, default=COMPARED, help="sentences compared with float32 and alone")
    parser.add_argument("--pairs", type=int, help="of each task, the first ones")
    parser.add_argument("--smallest", action="store_true", help="the task with the fewest pairs alone")
    asked = parser.parse_args()
    field = Field.of(asked)
    ask(field, sts=asked.sts, compared=asked.compared, pairs=asked.pairs, smallest=asked.smallest)
    field.close()


def ask(
    field: Field, *, sts: Path | None = STS, compared: int = COMPARED, pairs: int | None = None, smallest: bool = False
) -> None:
    """Measure, and write the result."""
    finished = Finished(f"quality-{field.model.name}")
    tasks = [] if sts is None else [shortened(task, pairs) for task in read_tasks(sts)]
    if smallest:
        tasks = sorted(tasks, key=lambda task: len(task.gold))[:1]
    if not tasks:
        print("no STS folder, so no Spearman, alignment or uniformity: --sts FOLDER")
    (texts,) = field.draw("quality", 1, compared)
    reference = reference_vectors(field.model, texts)
    found = {}
    sizes = {task.name: len(task.gold) for task in tasks}
    for name, each in list(field.contestants.items()):
        key = f"{name}, {each.origin}, {len(texts)} texts, {sizes}"
        try:
            found[name] = finished.once(key, lambda each=each: figures(each, tasks, texts, reference))
        except PeerError as error:
            if name in field.ours:
                raise
            field.leave(name, str(error))
            continue
        scores = found[name]["sts"]
        cosine, drift = found[name]["cosine_to_float32"], found[name]["drift_with_the_batch"]
        print(
            f"{name:32} Spearman {scores['average']:.2f}, " if scores else f"{name:32} ",
            f"cosine {cosine['mean']:.5f}, at least {cosine['min']:.5f}, drift {drift:.1e}",
            flush=True,
        )
    write_result(
        f"quality-{field.model.name}",
        {
            "question": "agreement with people's scores of similarity, with float32, and alone with in a batch",
            **field.facts(),
            "tasks": sizes,
            "compared_with_float32": len(texts),
            "encoded_alone_too": min(ALONE, len(texts)),
            "quality": found,
        },
    )
    finished.close()


def shortened(task: Task, pairs: int | None) -> Task:
    return Task(name=task.name, gold=task.gold[:pairs], first=task.first[:pairs], second=task.second[:pairs])


def figures(each: Contestant, tasks: list[Task], texts: list[str], reference: NDArray[np.float32]) -> dict:
    """One contestant's, at its settings for bulk work."""
    each.process.load(each.bulk)
    vectors = each.process.vectors(texts)
    alone = each.process.vectors(texts[:ALONE], alone=True)
    cosines = (vectors.astype(np.float64) * reference).sum(1) / np.linalg.norm(vectors, axis=1)
    return {
        "sts": measure(tasks, each.process.vectors).to_json() if tasks else None,
        "cosine_to_float32": {"mean": float(cosines.mean()), "min": float(cosines.min())},
        "drift_with_the_batch": float(np.abs(alone - vectors[:ALONE]).max()),
    }


if __name__ == "__main__":
    main()
