"""STS tasks: sentence pairs with people's scores of their similarity, from a folder of `NAME.tsv` files."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputValueError
from ..files.texts import open_texts

LOWEST, HIGHEST = 0.0, 5.0
_COLUMNS = "score, tab, sentence, tab, sentence"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One file of pairs; pair i is ``first[i]`` and ``second[i]``.

    Attributes:
        name: the file's name without its suffix, such as "stsb-dev".
        gold: float64 [pairs], scores from 0 (unrelated) to 5 (equivalent), not all of them equal.
        first: one sentence per pair.
        second: the other sentence of each.
    """

    name: str
    gold: NDArray[np.float64]
    first: list[str]
    second: list[str]


def read_tasks(folder: Path) -> list[Task]:
    """Read every `NAME.tsv` in ``folder``, sorted by name; hidden files are skipped.

    Raises:
        InputValueError: no such folder, no such file in it, or a file that `read_task` refuses.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise InputValueError(f"{folder}: {what}; expected a folder of NAME.tsv files ({_COLUMNS})")
    paths = sorted((path for path in folder.glob("*.tsv") if not path.name.startswith(".")), key=lambda path: path.stem)
    if not paths:
        raise InputValueError(f"{folder}: no .tsv file in it; expected one file per task ({_COLUMNS})")
    return [read_task(path) for path in paths]


def read_task(path: Path) -> Task:
    """Read a UTF-8 file with one pair per line: score, tab, sentence, tab, sentence.

    Raises:
        InputValueError: with the line's number, for a line that is no such pair; and for a file that no rank
            correlation can be computed of, with fewer than two pairs or the same score throughout.
    """
    gold, first, second = [], [], []
    with open_texts(str(path)) as lines:
        for number, line in enumerate(lines, 1):
            columns = line.split("\t")
            if len(columns) != 3:
                counted = f"{len(columns)} column{'s' * (len(columns) > 1)}"
                raise InputValueError(f"{path}, line {number}: {counted}; expected 3 ({_COLUMNS})")
            gold.append(_score(columns[0], f"{path}, line {number}"))
            first.append(columns[1])
            second.append(columns[2])
    if len(gold) < 2:
        raise InputValueError(f"{path}: {'one pair' if gold else 'empty'}; expected at least 2 pairs")
    if len(set(gold)) == 1:
        raise InputValueError(f"{path}: every score is {gold[0]:g}, so there is no order to agree with")
    return Task(name=path.stem, gold=np.array(gold), first=first, second=second)


def _score(text: str, place: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    # On another scale, the threshold of alignment would mean nothing.
    if not LOWEST <= score <= HIGHEST:
        raise InputValueError(f"{place}: the score is {text!r:.40}; expected a number from {LOWEST:g} to {HIGHEST:g}")
    return score
