"""Which files are encoded: by names, folders and patterns, each once, in one order."""

import os
from pathlib import Path

import pytest

from simcse_engine.errors import InputValueError
from simcse_engine.shards.sources import Found, find_sources


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name in ("b.txt", "a.txt.gz", "sub/c.jsonl", "sub/deep/d.csv", "_SUCCESS", ".hidden.txt", "_sub/e.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("text\n")
    return folder


def found(*inputs: Path | str, output: str = "/nowhere/out") -> Found:
    return find_sources([str(each) for each in inputs], Path(output), "text")


def names(*inputs: Path | str) -> list[str]:
    return [source.name for source in found(*inputs).sources]


ALL = ["a.txt.gz", "b.txt", "sub/c.jsonl", "sub/deep/d.csv"]


def test_a_folder_with_its_folders(data: Path) -> None:
    assert names(data) == ALL
    assert names(f"{data}/") == ALL
    (source, *_) = found(data).sources
    status = (data / "a.txt.gz").stat()
    assert (source.path, source.size, source.mtime_ns) == (str(data / "a.txt.gz"), status.st_size, status.st_mtime_ns)


def test_names_count_from_what_all_inputs_have_in_common(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(data / "b.txt") == ["b.txt"]
    assert names(data / "b.txt", data / "sub/c.jsonl") == ["b.txt", "sub/c.jsonl"]
    assert names(data / "sub/deep", data / "b.txt") == ["b.txt", "sub/deep/d.csv"]
    monkeypatch.chdir(data)
    assert names("sub/../b.txt", "sub") == ["b.txt", "sub/c.jsonl", "sub/deep/d.csv"]


def test_patterns(data: Path) -> None:
    assert names(f"{data}/*.txt") == ["b.txt"]
    assert names(f"{data}/**/*.[cj]*") == ["sub/c.jsonl", "sub/deep/d.csv"]
    assert names(f"{data}/su*") == ["sub/c.jsonl", "sub/deep/d.csv"]
    # What exists under the very name is no pattern.
    (data / "x[1].txt").write_text("text\n")
    assert names(data / "x[1].txt") == ["x[1].txt"]
    with pytest.raises(InputValueError, match=r"\*\.parquet: no file is named so"):
        found(f"{data}/*.parquet")


def test_a_folder_above_may_have_a_name_like_a_pattern(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    above = data.rename(data.with_name("run [1]"))
    monkeypatch.chdir(above)
    assert names("*.txt") == ["b.txt"]
    assert names("su*/*.jsonl", "b.txt") == ["b.txt", "sub/c.jsonl"]
    with pytest.raises(InputValueError, match="no file is named so"):
        found("*.parquet")


def test_inputs_that_overlap_are_found_once(data: Path) -> None:
    assert names(data, data / "b.txt", f"{data}/sub/*", data / "sub") == ALL


def test_a_link_to_another_input_is_told_and_not_encoded_again(data: Path, tmp_path: Path) -> None:
    (data / "linked.txt").symlink_to(data / "b.txt")
    (tmp_path / "elsewhere.txt").write_text("text\n")
    (data / "z.txt").symlink_to(tmp_path / "elsewhere.txt")
    there = found(data)
    assert [source.name for source in there.sources] == [*ALL, "z.txt"]
    (link,) = there.links
    assert "linked.txt" in link
    assert "encoded once" in link


def test_folders_that_links_lead_to_are_read_once(data: Path, tmp_path: Path) -> None:
    (data / "sub/loop").symlink_to(data)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/f.txt").write_text("text\n")
    (data / "other").symlink_to(tmp_path / "other")
    assert names(data) == sorted([*ALL, "other/f.txt"])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(lambda folder: (folder / "x.npy").write_bytes(b""), "x.npy: is no .txt", id="another kind"),
        pytest.param(lambda folder: os.mkfifo(folder / "x.txt"), "x.txt: is a pipe", id="a pipe"),
        pytest.param(lambda folder: (folder / "x.txt").symlink_to("none"), "x.txt: no such file", id="a broken link"),
        pytest.param(
            lambda folder: (folder / "x.parquet").write_text("no"), "not a readable Parquet file", id="damaged"
        ),
    ],
)
def test_what_cannot_be_read_is_told_before_any_work(data: Path, make: object, says: str) -> None:
    make(data)  # type: ignore[operator]
    with pytest.raises(InputValueError, match=says):
        found(data)


def test_inputs_that_are_none(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputValueError, match="no such file"):
        found(data / "none.txt")
    with pytest.raises(InputValueError, match="stdin cannot be read again"):
        found("-")
    with pytest.raises(InputValueError, match=r"begin with \. or _"):
        found(data / "_SUCCESS")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputValueError, match="holds no file of texts"):
        found(tmp_path / "empty")


def test_the_output_is_no_input(data: Path) -> None:
    with pytest.raises(InputValueError, match="lies in"):
        found(data, output=f"{data}/out")
    with pytest.raises(InputValueError, match="lies in"):
        found(data / "sub/c.jsonl", output=f"{data}/sub")
