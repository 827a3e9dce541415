"""Comma- and tab-separated files are read as the csv module writes them."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcse_engine.errors import InputValueError
from simcse_engine.files.new_entries import open_entries
from simcse_engine.files.texts import open_texts
from simcse_engine.index.storage.key_kinds import KEY_KINDS

CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def read(path: Path, text_column: str | None = None) -> list[str]:
    with open_texts(str(path), text_column) as texts:
        return list(texts)


@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=6), delimiter=st.sampled_from([",", "\t"]), bom=st.booleans())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str, bom: bool
) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "other"), *rows])
    path = tmp_path_factory.mktemp("csv") / ("t.csv" if delimiter == "," else "t.TSV")
    path.write_bytes(("\ufeff" * bom + stream.getvalue()).encode())
    assert read(path) == [text for text, _ in rows]
    assert read(path, "other") == [other for _, other in rows]
    with open_entries(str(path), KEY_KINDS["int"]) as blocks:
        entries = [pair for block in blocks for pair in zip(block.texts, block.metadata or [], strict=True)]
    assert entries == [(text, {"other": other}) for text, other in rows]


def test_lines_without_a_row(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("text\na\n\nb\n")
    assert read(tmp_path / "one.csv") == ["a", "", "b"]
    (tmp_path / "two.csv").write_text("n,text\n1,a\n\n2,b\n\n")
    assert read(tmp_path / "two.csv") == ["a", "b"]


def test_a_field_may_be_long(tmp_path: Path) -> None:
    text = "a long text, " * 100_000
    (tmp_path / "long.csv").write_text(f'text\n"{text}"\n')
    assert read(tmp_path / "long.csv") == [text]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty; expected a first line with the names"),
        ("a,b\n1,2\n", 'no column "text"; it has a, b; name that of the texts with text_column='),
        ("id;text\n1;a\n", 'no column "text"; it has id;text'),
        ("text,n,n\na,1,2\n", 'two columns are named "n"'),
        ("text,n\na\n", "line 2: 1 fields for 2 columns"),
        ("text,n\na,1\nb,2,3\n", "line 3: 3 fields for 2 columns"),
        ('text,n\n"a\nb",1\n"c,2\n', "line 4: unexpected end of data; a field that begins with a quote"),
        ('text,n\n"a"b,1\n', "line 2: .* expected after"),
        ("text,n\na\rb,1\n", "line 2: new-line character"),
        ("text,n\ncaf\udce9,1\n", "line 2: not UTF-8"),
    ],
)
def test_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "bad.csv").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(InputValueError, match=message):
        read(tmp_path / "bad.csv")


def test_keys_and_metadata(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('key,text,metadata,lang\n5,a,"{""n"": 1}",en\n6,b,,de\n')
    with open_entries(str(path), KEY_KINDS["int"]) as blocks:
        (block,) = blocks
    assert block.keys == [5, 6]
    assert block.metadata == [{"lang": "en", "n": 1}, {"lang": "de"}]
    with open_entries(str(path), KEY_KINDS["int"], text_column="key") as blocks:
        (block,) = blocks
    assert (block.texts, block.keys) == (["5", "6"], None)
    for content, message in (
        ("key,text\nx,a\n", "line 2: the key is 'x'; expected a whole number"),
        ("key,text\n,a\n", "line 2: the key is ''"),
        ("text,metadata\na,{\n", "line 2: the metadata is not JSON"),
        ('text,metadata,n\na,"{""n"": 1}",2\n', 'line 2: "n" is a field, and in the metadata too'),
    ):
        path.write_text(content)
        with pytest.raises(InputValueError, match=message), open_entries(str(path), KEY_KINDS["int"]) as blocks:
            list(blocks)
