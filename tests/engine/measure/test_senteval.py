from pathlib import Path

import pytest

from simcse_engine.errors import InputValueError
from simcse_engine.measure.sts import Task, read_tasks


@pytest.fixture
def senteval(tmp_path: Path) -> Path:
    """A few lines of each file, in the folders that SentEval's and SimCSE's download scripts make."""

    def write(name: str, content: str) -> None:
        path = tmp_path / "SentEval/data/downstream" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")

    write("STS/STS12-en-test/STS.input.MSRpar.txt", "a  cat\tthe cat \nno score\tat all\n")
    write("STS/STS12-en-test/STS.gs.MSRpar.txt", "4.5\n\n")
    write("STS/STS12-en-test/STS.input.surprise.OnWN.txt", "über\tabove\textra\n")
    write("STS/STS12-en-test/STS.gs.surprise.OnWN.txt", "2.000\n")
    write("STS/STS12-en-test/STS.gs.ALL.txt", "4.5\n2.000\n")
    write("STS/STS13-en-test/STS.input.FNWN.txt", "one\ttwo\nthree\tfour\n")
    write("STS/STS13-en-test/STS.gs.FNWN.txt", "1\n0\n")
    for part, gold in (("train", 1), ("dev", 2), ("test", 3)):
        lines = "".join(f"main\tMSRvid\t2012\t{i}\t{gold}.{i}\t{part} {i}\tother\n" for i in range(3))
        write(f"STS/STSBenchmark/sts-{part}.csv", lines)
        name = {"dev": "trial", "test": "test_annotated"}.get(part, part)
        head = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n"
        write(f"SICK/SICK_{name}.txt", f"{head}1\t{part}\tother\t{gold}\tNEUTRAL\n2\tmore\tother\t4\tNEUTRAL\n")
    write("SNLI/labels.dev", "neutral\n")
    return tmp_path / "SentEval"


def named(folder: Path) -> dict[str, Task]:
    return {task.name: task for task in read_tasks(folder)}


def test_each_task_as_simcse_counts_it(senteval: Path) -> None:
    tasks = named(senteval)
    assert list(tasks) == ["STS12", "STS13", "STSBenchmark", "SICKRelatedness"]
    # All files of a year together, without the pair that nobody scored; white space as SentEval reads it.
    assert tasks["STS12"].gold.tolist() == [4.5, 2]
    assert tasks["STS12"].first == ["a cat", "über"]
    assert tasks["STS12"].second == ["the cat", "above"]
    # The test parts alone.
    assert tasks["STSBenchmark"].first == ["test 0", "test 1", "test 2"]
    assert tasks["STSBenchmark"].gold.tolist() == [3.0, 3.1, 3.2]
    assert tasks["SICKRelatedness"].first == ["test", "more"]


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("data", ["STS12", "STS13", "STSBenchmark", "SICKRelatedness"]),
        ("data/downstream", ["STS12", "STS13", "STSBenchmark", "SICKRelatedness"]),
        ("data/downstream/STS", ["STS12", "STS13", "STSBenchmark"]),
        ("data/downstream/STS/STS12-en-test", ["STS12"]),
        ("data/downstream/STS/STSBenchmark", ["STSBenchmark"]),
        ("data/downstream/SICK", ["SICKRelatedness"]),
        ("data/downstream/STS/STSBenchmark/sts-dev.csv", ["sts-dev"]),
    ],
)
def test_any_folder_of_the_tree_will_do(senteval: Path, folder: str, expected: list[str]) -> None:
    assert list(named(senteval / folder)) == expected


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("STS.gs.FNWN.txt", "1\n", "STS.gs.FNWN.txt: 1 scores for the 2 pairs of STS.input.FNWN.txt"),
        ("STS.gs.FNWN.txt", "1\nhigh\n", "STS.gs.FNWN.txt, line 2: the score is 'high'"),
        ("STS.input.FNWN.txt", "one\ttwo\nalone\n", "STS.input.FNWN.txt, line 2: 1 column; expected sentence, tab"),
        ("STS.gs.FNWN.txt", "1\n1\n", "STS13-en-test: every score is 1"),
    ],
)
def test_damaged_files(senteval: Path, file: str, content: str, reason: str) -> None:
    (senteval / "data/downstream/STS/STS13-en-test" / file).write_text(content)
    with pytest.raises(InputValueError) as caught:
        read_tasks(senteval)
    assert reason in str(caught.value)
