"""Files of sentence pairs with people's scores of their similarity, in the formats that STS tasks are published in.

Their lines have columns between tabs:

- score, sentence, sentence: ours;
- genre, file, year, index, score, sentence, sentence, and perhaps more: the STS benchmark's own ``sts-dev.csv``;
- named in a first line: GLUE's STS-B (``sentence1``, ``sentence2``, ``score``) and SICK (``sentence_A``,
  ``sentence_B``, ``relatedness_score``);
- sentence, sentence, with the scores line by line in a second file: SentEval's STS12 to STS16.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputValueError
from ..files.lines import plain_lines
from ..files.opening import InputFile, check_no_pipe, open_input

LOWEST, HIGHEST = 0.0, 5.0
OURS = "score, tab, sentence, tab, sentence"
_NAMED = (("score", "sentence1", "sentence2"), ("relatedness_score", "sentence_A", "sentence_B"))


@dataclass(frozen=True)
class Pairs:
    """Pair i is ``first[i]`` and ``second[i]``, with the score ``gold[i]`` from 0 (unrelated) to 5 (equivalent)."""

    gold: list[float] = field(default_factory=list)
    first: list[str] = field(default_factory=list)
    second: list[str] = field(default_factory=list)

    def add(self, score: str, first: str, second: str, place: str) -> None:
        """Add a pair as a file states it; ``place`` is the file and line, for messages."""
        self.gold.append(_score(score, place))
        self.first.append(first)
        self.second.append(second)

    def extend(self, others: "Pairs") -> None:
        """Add all pairs of another file."""
        self.gold.extend(others.gold)
        self.first.extend(others.first)
        self.second.extend(others.second)


@dataclass(frozen=True)
class _Format:
    """Where a line has its score and its sentences."""

    score: int
    first: int
    second: int
    # Whether the first line names the columns, and is no pair.
    named: bool = False


_OURS = _Format(0, 1, 2)
_STS_BENCHMARK = _Format(4, 5, 6)


def column_names(path: Path) -> list[str]:
    """The columns that a file's first line names, if it does."""
    with _open(path) as file:
        return next(plain_lines(file, str(path)), "").split("\t")


def read_pairs(path: Path) -> Pairs:
    """Read a UTF-8 file with one pair per line, in any format but SentEval's; its first line tells which.

    Raises:
        InputValueError: with the line's number, for a line that is no pair of this format.
    """
    pairs = Pairs()
    with _open(path) as file:
        form = _OURS
        for number, line in enumerate(plain_lines(file, str(path)), 1):
            cells = line.split("\t")
            if number == 1:
                form = _format(cells)
                if form.named:
                    continue
            place = f"{path}, line {number}"
            least = 1 + max(form.score, form.first, form.second)
            if form == _OURS and len(cells) != least:
                raise InputValueError(f"{place}: {_counted(cells)}; expected {least} ({OURS})")
            if len(cells) < least:
                raise InputValueError(f"{place}: {_counted(cells)}; expected at least {least}, as in the first line")
            first, second = cells[form.first], cells[form.second]
            if form != _OURS:
                first, second = _single_spaced(first), _single_spaced(second)
            pairs.add(cells[form.score], first, second, place)
    return pairs


def _format(first_line: Sequence[str]) -> _Format:
    for names in _NAMED:
        if {*names} <= {*first_line}:
            score, first, second = map(first_line.index, names)
            return _Format(score, first, second, named=True)
    return _STS_BENCHMARK if len(first_line) > _STS_BENCHMARK.second else _OURS


def read_senteval_pairs(inputs: Path, scores: Path) -> Pairs:
    """Read pairs from one file and their scores from another; a pair whose score is an empty line is left out.

    Raises:
        InputValueError: with the line's number, for a line that is no pair; or for files of unequal length.
    """
    with _open(inputs) as file:
        rows = [line.split("\t") for line in plain_lines(file, str(inputs))]
    with _open(scores) as file:
        gold = [line.strip() for line in plain_lines(file, str(scores))]
    if len(rows) != len(gold):
        raise InputValueError(f"{scores}: {len(gold):,} scores for the {len(rows):,} pairs of {inputs.name}")
    pairs = Pairs()
    for number, (cells, score) in enumerate(zip(rows, gold, strict=True), 1):
        if len(cells) < 2:
            raise InputValueError(f"{inputs}, line {number}: {_counted(cells)}; expected sentence, tab, sentence")
        if score:
            pairs.add(score, _single_spaced(cells[0]), _single_spaced(cells[1]), f"{scores}, line {number}")
    return pairs


def _single_spaced(text: str) -> str:
    # As SentEval reads these files, so that a tokenizer which sees white space gives the papers' figures.
    return " ".join(text.split())


def _counted(cells: Sequence[str]) -> str:
    return f"{len(cells)} column{'s' * (len(cells) > 1)}"


def _score(text: str, place: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    # On another scale, the threshold of alignment would mean nothing.
    if not LOWEST <= score <= HIGHEST:
        raise InputValueError(f"{place}: the score is {text!r:.40}; expected a number from {LOWEST:g} to {HIGHEST:g}")
    return score


def _open(path: Path) -> InputFile:
    # More than once, if its columns have to be known first.
    check_no_pipe(path, "a task is read twice")
    return open_input(path)
