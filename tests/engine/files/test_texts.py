"""Texts are read row for row: what stands on line i is text i, and nothing is skipped or mended."""

import io
import json
import os
import re
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcse_engine.errors import InputValueError
from simcse_engine.files.texts import open_texts

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ONE_LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"))


def read(path: Path | str) -> list[str]:
    with open_texts(str(path)) as texts:
        return list(texts)


def read_bytes(folder: Path, content: bytes, name: str = "texts.txt") -> list[str]:
    path = folder / name
    path.write_bytes(content)
    return read(path)


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"\n\n", ["", ""]),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\r\r\n", ["a\r"]),
        (b"a\rb\n", ["a\rb"]),
        (b"a\r", ["a"]),
        (b"\r\n", [""]),
        (b" a \n\t\n", [" a ", "\t"]),
        (b"a\0b\n", ["a\0b"]),
        (b"\xef\xbb\xbfa\nb", ["a", "b"]),
        (b"\xef\xbb\xbf", []),
        (b"\xef\xbb\xbf\n", [""]),
        (b"\xef\xbb\xbf\xef\xbb\xbfa\n\xef\xbb\xbfb", ["\ufeffa", "\ufeffb"]),
        ("a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i\n".encode(), ["a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i"]),
        ("Grüße\n一只猫\n🎸\n".encode(), ["Grüße", "一只猫", "🎸"]),
    ],
)
def test_lines(tmp_path: Path, content: bytes, texts: list[str]) -> None:
    assert read_bytes(tmp_path, content) == texts


@given(texts=st.lists(ONE_LINE), bom=st.booleans(), last_newline=st.booleans())
def test_lines_come_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], bom: bool, last_newline: bool
) -> None:
    # With "\r\n" any text without a newline can be written; only a final empty one needs the last newline.
    content = "".join(text + "\r\n" for text in texts)
    if texts and texts[-1] and not texts[-1].endswith("\r") and not last_newline:
        content = content.removesuffix("\r\n")
    if bom or content.startswith("\ufeff"):
        content = "\ufeff" + content
    assert read_bytes(tmp_path_factory.mktemp("lines"), content.encode()) == texts


@given(texts=st.lists(ANY_TEXT), as_object=st.booleans(), ascii_only=st.booleans())
def test_json_lines_come_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], as_object: bool, ascii_only: bool
) -> None:
    rows = [{"id": 7, "text": text} if as_object else text for text in texts]
    content = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)
    assert read_bytes(tmp_path_factory.mktemp("json"), content.encode(), "texts.JSONL") == texts


@pytest.mark.parametrize("bad", [b"\xff", b"caf\xe9", b"\xed\xa0\x80", b"\xc3", b"\xf5\x80\x80\x80"])
@pytest.mark.parametrize("name", ["texts.txt", "texts.jsonl"])
def test_invalid_utf8_is_refused_with_its_line(tmp_path: Path, bad: bytes, name: str) -> None:
    with pytest.raises(InputValueError, match=f"{re.escape(name)}, line 3: not UTF-8"):
        read_bytes(tmp_path, b'"a"\n"b"\n"' + bad + b'"\n"d"\n', name)


def test_texts_before_a_bad_line_are_given(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(b"a\nb\n\xff\n")
    with open_texts(str(path)) as texts:
        assert [next(texts), next(texts)] == ["a", "b"]
        with pytest.raises(InputValueError, match="line 3"):
            next(texts)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("plain words", "not JSON"),
        ("3", "not 3"),
        ("null", "not None"),
        ('["a"]', "a string, or an object"),
        ('{"sentence": "a"}', 'no column "text"; it has sentence'),
        ('{"text": 3}', "not 3"),
        ('{"text": null}', "is null"),
        (r'"\ud83d"', "lone surrogate"),
        ("[" * 100_000, "not JSON"),
        ("1" * 10_000, "integer string conversion"),
    ],
)
def test_json_line_that_is_no_text_is_refused_with_its_line(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(InputValueError, match=r"texts\.jsonl, line 2: ") as caught:
        read_bytes(tmp_path, f'"a"\n{line}\n"c"\n'.encode(), "texts.jsonl")
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 500


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputValueError, match=r"none\.txt: no such file"):
        read(tmp_path / "none.txt")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(InputValueError, match="is a folder"):
        read(tmp_path)


def test_file_beneath_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputValueError, match="cannot be read"):
        read(tmp_path / "file" / "texts.txt")


def test_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    # As Python opens stdin in a Latin-1 locale: its own idea of the encoding must not matter.
    stdin = io.TextIOWrapper(io.BytesIO("\ufeffé\n\nb".encode()), encoding="latin-1")
    monkeypatch.setattr(sys, "stdin", stdin)
    assert read("-") == ["é", "", "b"]


def test_a_terminal_is_announced(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    keyboard, terminal = os.openpty()
    os.write(keyboard, b"a\n\x04")
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert read("-") == ["a"]
    os.close(keyboard)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Ctrl-D" in captured.err


def test_bad_line_on_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n\xff")))
    with pytest.raises(InputValueError, match="stdin, line 2"):
        read("-")


def test_closed_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputValueError, match="stdin is closed"):
        read("-")


def test_a_pipe_by_its_path(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"a\nb\n",))
    writer.start()
    assert read(pipe) == ["a", "b"]
    writer.join()


def test_file_is_closed_with_the_block(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(b"a\n" * 100_000)
    with open_texts(str(path)) as texts:
        next(texts)
    with pytest.raises(ValueError, match="closed file"):
        list(texts)


@pytest.mark.parametrize("name", ["texts.txt", "texts.jsonl"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b'"a sentence of some fifty characters, more or less"\n' * 100_000)  # 5 MB
    tracemalloc.start()
    try:
        with open_texts(str(path)) as texts:
            assert sum(1 for _ in texts) == 100_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("kind", ["string", "large_string", "dictionary"])
def test_parquet(tmp_path: Path, kind: str) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    texts = ["", "a\nb", "Grüße", "🎸\0"] * 2000
    column = arrow.array(texts)
    column = column.dictionary_encode() if kind == "dictionary" else column.cast(kind)
    path = tmp_path / "texts.parquet"
    parquet.write_table(arrow.table({"id": range(len(texts)), "text": column}), path, row_group_size=1500)
    assert read(path) == texts


def test_empty_parquet(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"text": arrow.array([], arrow.string())}), tmp_path / "texts.parquet")
    assert read(tmp_path / "texts.parquet") == []


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"sentence": ["a"]}, 'no column "text"; it has sentence'),
        ({"text": [1]}, "holds int64"),
        ({"text": [b"a"]}, "holds binary"),
        ({"text": [{"text": "a"}]}, "holds struct"),
        ({"text": ["a", None]}, 'row 2: "text" is null'),
    ],
)
def test_parquet_without_texts(tmp_path: Path, columns: dict[str, list[object]], reason: str) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table(columns), tmp_path / "texts.parquet")
    with pytest.raises(InputValueError, match=r"texts\.parquet") as caught:
        read(tmp_path / "texts.parquet")
    assert reason in str(caught.value)


def test_parquet_of_invalid_utf8(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    offsets = arrow.array([0, 1, 2], arrow.int32()).buffers()[1]
    column = arrow.StringArray.from_buffers(2, offsets, arrow.py_buffer(b"a\xff"))
    parquet.write_table(arrow.table({"text": column}), tmp_path / "texts.parquet")
    with pytest.raises(InputValueError, match=r"texts\.parquet, row 2"):
        read(tmp_path / "texts.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet\n" * 100])
def test_what_is_no_parquet(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(InputValueError, match="not a readable Parquet file"):
        read_bytes(tmp_path, content, "texts.parquet")


def test_parquet_cut_short(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "texts.parquet"
    parquet.write_table(arrow.table({"text": [f"text {i}" for i in range(5000)]}), path, compression="gzip")
    content = bytearray(path.read_bytes())
    content[1000:2000] = bytes(1000)
    path.write_bytes(content)
    with pytest.raises(InputValueError, match=r"texts\.parquet"):
        read(path)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules is how Python itself marks a module that must not be found.
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputValueError, match=r"pip install 'simcse-engine\[arrow\]'"):
        read_bytes(tmp_path, b"PAR1", "texts.parquet")
