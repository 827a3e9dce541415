"""STS tasks: sentence pairs with people's scores of their similarity, from one file or a folder of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..errors import InputValueError
from .pairs import OURS, Pairs, column_names, read_pairs
from .senteval import senteval_tasks

_EXPECTED = (
    f"expected NAME.tsv files ({OURS}), the STS benchmark's files, or SentEval's folders, which "
    "SentEval/data/downstream/download_dataset.sh of github.com/princeton-nlp/SimCSE fetches"
)


@dataclass(frozen=True, kw_only=True)
class Task:
    """Pairs of one kind; pair i is ``first[i]`` and ``second[i]``.

    Attributes:
        name: the file's name without its suffix, such as "stsb-dev", or SentEval's, such as "STS12".
        gold: float64 [pairs], scores from 0 (unrelated) to 5 (equivalent), not all of them equal.
        first: one sentence per pair.
        second: the other sentence of each.
    """

    name: str
    gold: NDArray[np.float64]
    first: list[str]
    second: list[str]

    @classmethod
    def of(cls, name: str, pairs: Pairs, path: Path) -> Self:
        """A task of the pairs in ``path``; InputValueError where they have no order to agree with."""
        gold = pairs.gold
        if len(gold) < 2:
            raise InputValueError(f"{path}: {'one pair' if gold else 'empty'}; expected at least 2 pairs")
        if len(set(gold)) == 1:
            raise InputValueError(f"{path}: every score is {gold[0]:g}, so there is no order to agree with")
        return cls(name=name, gold=np.array(gold), first=pairs.first, second=pairs.second)


def read_tasks(path: Path) -> list[Task]:
    """Read every task in a folder, or the one in a file.

    Args:
        path: a file that `read_task` reads, or a folder of such `NAME.tsv` files (hidden ones are skipped), sorted by
            name. A folder of SentEval's, or one above them, gives STS12 to STS16, STSBenchmark and SICKRelatedness, as
            far as they are there, as SimCSE's evaluation counts them. GLUE's folder of STS-B gives its `dev.tsv`, as
            the scores of its test part are secret.

    Raises:
        InputValueError: no such folder, no task in it, or a file that is no task.
    """
    if path.is_file():
        return [read_task(path)]
    if not path.is_dir():
        what = "is neither a file nor a folder" if path.exists() else "no such file or folder"
        raise InputValueError(f"{path}: {what}; {_EXPECTED}")
    tasks = [read_task(file) for file in _tables(path)]
    tasks += [Task.of(*task) for task in senteval_tasks(path)]
    if not tasks:
        raise InputValueError(f"{path}: no STS task in it; {_EXPECTED}")
    return tasks


def _tables(folder: Path) -> list[Path]:
    paths = sorted((path for path in folder.glob("*.tsv") if not path.name.startswith(".")), key=lambda path: path.stem)
    glue = folder / "dev.tsv"
    return [glue] if glue in paths and "genre" in column_names(glue) else paths


def read_task(path: Path) -> Task:
    """Read a UTF-8 file of one pair per line: score, tab, sentence, tab, sentence; or a file of STS-B or SICK.

    Raises:
        InputValueError: with the line's number, for a line that is no such pair; and for a file that no rank
            correlation can be computed of, with fewer than two pairs or the same score throughout.
    """
    return Task.of(path.stem, read_pairs(path), path)
