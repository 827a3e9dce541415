from pathlib import Path

import numpy as np
import pytest

from simcse_engine.errors import InputValueError
from simcse_engine.measure.sts import read_task, read_tasks

PAIRS = "4.5\tA cat sits.\tA cat is sitting.\n0\tA cat sits.\tShares fell.\n"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputValueError) as caught:
        read_task(path)
    return str(caught.value)


def test_a_task(tmp_path: Path) -> None:
    task = read_task(write(tmp_path / "small.v1.tsv", "4.5\tÜber uns.\t\r\n 2 \tx  y\tA\u2028b\x0bc"))
    assert task.name == "small.v1"
    assert task.gold.dtype == np.float64
    assert task.gold.tolist() == [4.5, 2]
    assert task.first == ["Über uns.", "x  y"]
    assert task.second == ["", "A\u2028b\x0bc"]


def test_every_tsv_sorted_by_name(tmp_path: Path) -> None:
    for name in ("b.tsv", "a-dev.tsv", "a.tsv", "._a.tsv", "notes.txt"):
        write(tmp_path / name, PAIRS if name.endswith(".tsv") and name[0] != "." else "no pair")
    assert [task.name for task in read_tasks(tmp_path)] == ["a", "a-dev", "b"]


def test_folders_that_hold_no_tasks(tmp_path: Path) -> None:
    for folder, reason in (
        (tmp_path / "none", "none: no such file or folder"),
        (Path("/dev/null"), "null: is neither a file nor a folder"),
        (Path(__file__).parent, "no STS task in it; expected NAME.tsv files .*, or SentEval's folders, which"),
    ):
        with pytest.raises(InputValueError, match=reason):
            read_tasks(folder)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("3\tone sentence", "2 columns; expected 3"),
        ("", "1 column; expected 3"),
        ("3\ta\tb\tc", "4 columns; expected 3"),
        ("high\ta\tb", "the score is 'high'"),
        ("nan\ta\tb", "the score is 'nan'"),
        ("inf\ta\tb", "the score is 'inf'"),
        ("5.1\ta\tb", "expected a number from 0 to 5"),
        ("-1\ta\tb", "expected a number from 0 to 5"),
    ],
)
def test_a_line_that_is_no_pair(tmp_path: Path, line: str, reason: str) -> None:
    message = refusal(write(tmp_path / "task.tsv", f"{PAIRS}{line}\n{PAIRS}"))
    assert "task.tsv, line 3: " in message
    assert reason in message


def test_undecodable_bytes(tmp_path: Path) -> None:
    assert "task.tsv, line 2: not UTF-8" in refusal(write(tmp_path / "task.tsv", b"1\ta\tb\n2\tcaf\xe9\tb\n"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "task.tsv: empty"),
        ("3\ta\tb\n", "task.tsv: one pair; expected at least 2"),
        ("3\ta\tb\n3.0\tc\td\n", "task.tsv: every score is 3,"),
    ],
)
def test_too_little_to_rank(tmp_path: Path, content: str, reason: str) -> None:
    assert reason in refusal(write(tmp_path / "task.tsv", content))


def test_a_folder_named_as_a_task(tmp_path: Path) -> None:
    (tmp_path / "task.tsv").mkdir()
    assert "is a folder" in refusal(tmp_path / "task.tsv")


def test_a_file_is_a_task_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "other.tsv", PAIRS)
    assert [task.name for task in read_tasks(write(tmp_path / "one.tsv", PAIRS))] == ["one"]


BENCHMARK = "main-captions\tMSRvid\t2012test\t0001\t{}\tA  cat sits.\tA cat is sitting .\tMSRvid\tcc\n"


def test_the_sts_benchmark_s_own_file(tmp_path: Path) -> None:
    # Quotation marks mean nothing here, and lines may have columns after the sentences or not.
    short = 'main-news\theadlines\t2015\t2\t0.8\t"Shares fell.\tCrowds" grow.\n'
    task = read_task(write(tmp_path / "sts-dev.csv", BENCHMARK.format("2.500") + short))
    assert (task.name, task.gold.tolist()) == ("sts-dev", [2.5, 0.8])
    assert task.first == ["A cat sits.", '"Shares fell.']
    assert task.second == ["A cat is sitting .", 'Crowds" grow.']
    damaged = write(tmp_path / "sts-dev.csv", BENCHMARK.format("5") + "main-news\theadlines\t2015\t2\t3\tAlone.\n")
    assert "sts-dev.csv, line 2: 6 columns; expected at least 7" in refusal(damaged)


GLUE = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2"


def test_glue_s_folder_gives_the_part_that_has_scores(tmp_path: Path) -> None:
    rows = "0\tmain\tMSRvid\t2012\t1\tnone\tnone\tA cat.\tThe cat.\t{}\n"
    for name, tail in (("train", "\tscore"), ("dev", "\tscore"), ("test", "")):
        write(tmp_path / f"{name}.tsv", f"{GLUE}{tail}\n{rows.format('5.000')}{rows.format('1.250')}")
    (task,) = read_tasks(tmp_path)
    assert (task.name, task.gold.tolist(), task.first[0], task.second[0]) == ("dev", [5, 1.25], "A cat.", "The cat.")


def test_columns_by_name_in_any_order(tmp_path: Path) -> None:
    head = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n"
    task = read_task(write(tmp_path / "SICK.txt", head + "1\ta b\tc\t4.5\tNEUTRAL\n2\td\te\t1\tENTAILMENT\n"))
    assert (task.gold.tolist(), task.first, task.second) == ([4.5, 1], ["a b", "d"], ["c", "e"])
