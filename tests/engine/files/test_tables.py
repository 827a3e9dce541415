"""Columns beyond text, key and metadata are metadata, in every format alike; what JSON has nothing for is refused."""

import json
import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine.errors import InputValueError
from simcse_engine.files.blocks import Block
from simcse_engine.files.new_entries import open_entries
from simcse_engine.files.texts import open_texts
from simcse_engine.index.storage.key_kinds import KEY_KINDS
from support.indexes import unit_vectors

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

WHEN = datetime(2021, 7, 1, 12, 30, 5)
VALUES: dict[str, tuple[list[Any], Any, list[Any]]] = {
    "int": ([5, None], None, [5, None]),
    "uint64": ([2**64 - 1, 0], arrow.uint64(), [2**64 - 1, 0]),
    "float": ([0.5, None], None, [0.5, None]),
    "float16": ([np.float16(0.5), None], arrow.float16(), [0.5, None]),
    "bool": ([True, False], None, [True, False]),
    "string": (["é", ""], None, ["é", ""]),
    "large string": (["é", ""], arrow.large_string(), ["é", ""]),
    "dictionary": (["x", "x"], arrow.dictionary(arrow.int8(), arrow.string()), ["x", "x"]),
    "null": ([None, None], arrow.null(), [None, None]),
    "date": ([date(2021, 7, 1), None], None, ["2021-07-01", None]),
    "time": ([time(12, 30), None], None, ["12:30:00", None]),
    "timestamp": ([WHEN, None], arrow.timestamp("us"), ["2021-07-01T12:30:05", None]),
    "nanoseconds": ([WHEN, None], arrow.timestamp("ns"), ["2021-07-01T12:30:05", None]),
    "zone": ([WHEN.replace(tzinfo=UTC), None], arrow.timestamp("s", "UTC"), ["2021-07-01T12:30:05+00:00", None]),
    "decimal": ([Decimal("2.50"), Decimal("3.00")], None, [2.5, 3]),
    "list": ([[1, None], []], None, [[1, None], []]),
    "dates": ([[date(2021, 7, 1)], None], None, [["2021-07-01"], None]),
    "struct": ([{"a": 1, "b": [date(2021, 7, 1)]}, None], None, [{"a": 1, "b": ["2021-07-01"]}, None]),
    "map": ([[("a", 1)], []], arrow.map_(arrow.string(), arrow.int64()), [{"a": 1}, {}]),
}


def written(folder: Path, columns: dict[str, Any], suffix: str = ".parquet") -> Path:
    table, path = arrow.table(columns), folder / f"table{suffix}"
    if suffix == ".parquet":
        parquet.write_table(table, path)
    else:
        with arrow.ipc.new_file(str(path), table.schema) as file:
            file.write_table(table)
    return path


def read(path: Path, **options: Any) -> list[Block]:
    with open_entries(str(path), KEY_KINDS["int"], **options) as blocks:
        return list(blocks)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize("vectors", [False, True])
def test_columns_are_metadata(tmp_path: Path, suffix: str, vectors: bool) -> None:
    columns = {name: arrow.array(values, kind) for name, (values, kind, _) in VALUES.items()}
    if vectors:
        columns["vector"] = arrow.array([*unit_vectors(2)])
    path = written(tmp_path, {"text": ["one", "two"], "key": [5, 7], **columns}, suffix)
    (block,) = read(path)
    assert (block.texts, block.keys, block.vectors is not None) == (["one", "two"], [5, 7], vectors)
    expected = [{name: values[i] for name, (_, _, values) in VALUES.items()} for i in range(2)]
    assert block.metadata == expected
    assert json.loads(json.dumps(block.metadata)) == expected
    with open_texts(str(path)) as texts:
        assert list(texts) == ["one", "two"]


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([b"x", b"y"], '"column" holds binary, which JSON metadata cannot; convert it or leave it out'),
        ([timedelta(1), None], '"column" holds duration'),
        ([[b"x"], None], '"column" holds list<'),
        ([{"a": b"x"}, None], '"column" holds struct<'),
        ([0.5, math.nan], 'row 2: column "column" cannot be read .nan is no number'),
        ([0.5, math.inf], "row 2: .*inf is no number"),
        ([Decimal("0.5"), Decimal("0.1234567890123456789")], "row 2: .*more digits than a float"),
    ],
)
def test_refused(tmp_path: Path, values: list[Any], message: str, suffix: str) -> None:
    path = written(tmp_path, {"text": ["one", "two"], "column": arrow.array(values, from_pandas=False)}, suffix)
    with pytest.raises(InputValueError, match=message):
        read(path)
    # Texts alone need no other column.
    with open_texts(str(path)) as texts:
        assert list(texts) == ["one", "two"]


def test_metadata_and_columns(tmp_path: Path) -> None:
    columns = {"text": ["one", "two"], "metadata": ['{"n": 1}', None], "lang": ["en", "de"]}
    (block,) = read(written(tmp_path, columns))
    assert block.metadata == [{"lang": "en", "n": 1}, {"lang": "de"}]
    structs = [{"n": 1, "when": date(2021, 7, 1)}, None]
    (block,) = read(written(tmp_path, {**columns, "metadata": structs}))
    assert block.metadata == [{"lang": "en", "n": 1, "when": "2021-07-01"}, {"lang": "de"}]
    with pytest.raises(InputValueError, match='row 1: "n" is a field, and in the metadata too'):
        read(written(tmp_path, {**columns, "n": [1, 2]}))


def test_json_lines_alike(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    path.write_text('{"text": "a", "lang": "en", "metadata": {"n": 1}}\n"b"\n{"text": "c", "metadata": {}}\n')
    (block,) = read(path)
    assert block.metadata == [{"lang": "en", "n": 1}, None, {}]
    path.write_text('{"text": "a", "vector": [1, 0], "lang": "en", "identity": "x"}\n')
    (block,) = read(path)
    assert (block.metadata, block.identity) == ([{"lang": "en"}], "x")


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".jsonl"])
def test_the_text_column(tmp_path: Path, suffix: str) -> None:
    columns = {"text": ["x", "y"], "body": ["one", "two"]}
    if suffix == ".jsonl":
        path = tmp_path / "table.jsonl"
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        path = written(tmp_path, columns, suffix)
    (block,) = read(path, text_column="body")
    assert (block.texts, block.metadata) == (["one", "two"], [{"text": "x"}, {"text": "y"}])
    with open_texts(str(path), "body") as texts:
        assert list(texts) == ["one", "two"]
    with pytest.raises(InputValueError, match=r'no column "title"; it has text, body; .*text_column='):
        read(path, text_column="title")


def test_strings_have_no_columns(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('"a"\n')
    with pytest.raises(InputValueError, match='line 1: expected an object with a string under "body", not'):
        read(tmp_path / "t.jsonl", text_column="body")
    (tmp_path / "t.txt").write_text("a\n")
    with pytest.raises(InputValueError, match="plain lines have no columns"):
        read(tmp_path / "t.txt", text_column="body")


def test_how_far(tmp_path: Path) -> None:
    path = written(tmp_path, {"text": [f"text {i}" for i in range(10)]})
    with open_texts(str(path)) as texts:
        assert (texts.total, texts.position) == (10, 0)
        next(texts)
        assert texts.position == 1
    with open_entries(str(path), KEY_KINDS["int"]) as blocks:
        assert len(list(blocks)) == 1
        assert (blocks.total, blocks.position) == (10, 10)
