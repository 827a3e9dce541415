"""The STS tasks in SentEval's tree of folders, which SimCSE's own evaluation reads.

``downstream/STS/STS12-en-test`` to ``STS16-en-test``, ``downstream/STS/STSBenchmark`` and ``downstream/SICK``; any of
these folders alone will do, or one above them. Each gives the one figure that SimCSE's table has of it (Gao et al.
2021, arXiv:2104.08821, appendix B): a year's files count as one task, and of the other two the test part alone does.
"""

from collections.abc import Iterator
from pathlib import Path

from .pairs import Pairs, read_pairs, read_senteval_pairs

_PLACES = (".", "STS", "downstream", "downstream/STS", "data/downstream", "data/downstream/STS")
_INPUT, _SCORES = "STS.input.", "STS.gs."
_YEAR_SUFFIX = "-en-test"
# The parts that are scored, by the names that SimCSE's table has.
_TEST_PARTS = {"STSBenchmark": "sts-test.csv", "SICKRelatedness": "SICK_test_annotated.txt"}


def senteval_tasks(folder: Path) -> list[tuple[str, Pairs, Path]]:
    """Every task in ``folder``, with its name and path: the years first, then the STS benchmark, then SICK."""
    tasks = {task[0]: task for each in _folders(folder) for task in _tasks_of(each)}
    years = sorted(tasks.keys() - _TEST_PARTS.keys())
    return [tasks[name] for name in (*years, *_TEST_PARTS) if name in tasks]


def _folders(folder: Path) -> Iterator[Path]:
    for name in _PLACES:
        place = folder / name
        if place.is_dir():
            yield place
            yield from sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))


def _tasks_of(folder: Path) -> Iterator[tuple[str, Pairs, Path]]:
    year = Pairs()
    for inputs in sorted(folder.glob(f"{_INPUT}*.txt")):
        scores = inputs.with_name(_SCORES + inputs.name.removeprefix(_INPUT))
        # Of STS13, one part is not free, and its scores alone are there.
        if scores.is_file():
            year.extend(read_senteval_pairs(inputs, scores))
    if year.gold:
        yield folder.resolve().name.removesuffix(_YEAR_SUFFIX), year, folder
    for name, part in _TEST_PARTS.items():
        path = folder / part
        if path.is_file():
            yield name, read_pairs(path), path
