"""A source's rows: from any row on, with the columns that are kept."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from simcse_engine.errors import InputValueError
from simcse_engine.shards.rows import count_rows, open_rows
from simcse_engine.shards.sources import Source, find_sources

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

TEXTS = [f"text {i}" for i in range(2500)]


def source_of(path: Path) -> Source:
    (source,) = find_sources([str(path)], Path("/nowhere"), "text").sources
    return source


def read(path: Path, keep: tuple[str, ...] = (), start: int = 0, column: str = "text") -> Any:
    with open_rows(source_of(path), column, keep, start) as rows:
        return pa.concat_tables([rows.schema.empty_table(), *iter(lambda: rows.take(700), None)])


def make(path: Path) -> Path:
    columns = {"id": pa.array(range(2500), pa.int16()), "text": TEXTS, "odd": [f"0{i}" for i in range(2500)]}
    table = pa.table(columns)
    objects = [json.dumps({"text": text, "id": i, "odd": f"0{i}"}) for i, text in enumerate(TEXTS)]
    match path.name:
        case "a.parquet":
            pq.write_table(table, path, row_group_size=333)
        case "a.arrow":
            with pa.ipc.new_file(path, table.schema) as file:
                file.write_table(table, max_chunksize=333)
        case "a.csv":
            path.write_text("id,text,odd\n" + "".join(f"{i},{text},0{i}\n" for i, text in enumerate(TEXTS)))
        case "a.jsonl":
            path.write_text("\n".join(objects))
        case "a.jsonl.gz":
            path.write_bytes(gzip.compress("\n".join(objects).encode()))
        case "a.txt":
            path.write_text("\n".join(TEXTS))
    return path


@pytest.fixture(params=["a.parquet", "a.arrow", "a.csv", "a.jsonl", "a.jsonl.gz", "a.txt"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return make(tmp_path / request.param)


@pytest.mark.parametrize("start", [0, 1, 332, 333, 1000, 2499, 2500])
def test_from_any_row_on(path: Path, start: int) -> None:
    assert read(path, start=start).column("text").to_pylist() == TEXTS[start:]


def test_rows_are_counted(path: Path) -> None:
    assert count_rows(source_of(path), "text") == (len(TEXTS), ())


def test_skipping(path: Path) -> None:
    with open_rows(source_of(path), "text") as rows:
        rows.skip(1234)
        assert rows.take(2).column("text").to_pylist() == TEXTS[1234:1236]
        rows.skip(10_000)
        assert rows.take(1) is None


@pytest.mark.parametrize(
    ("name", "id_type"),
    [("a.parquet", pa.int16()), ("a.arrow", pa.int16()), ("a.csv", pa.string()), ("a.jsonl", pa.string())],
)
def test_kept_columns_have_their_types_where_the_file_has_some(tmp_path: Path, name: str, id_type: Any) -> None:
    table = read(make(tmp_path / name), ("odd", "id"))
    assert table.column_names == ["text", "odd", "id"]
    assert table.schema.field("id").type == id_type
    # Zeros at the front of what is a string stay.
    assert table.slice(7, 1).to_pylist() == [{"text": "text 7", "odd": "07", "id": 7 if id_type == pa.int16() else "7"}]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.csv"])
def test_all_columns(tmp_path: Path, name: str) -> None:
    assert read(make(tmp_path / name), ("*",)).column_names == ["text", "id", "odd"]


def test_json_that_is_no_string_is_kept_as_json(tmp_path: Path) -> None:
    lines = [{"text": "a", "x": {"é": [1]}}, {"text": "b"}, {"text": "c", "x": None}, {"text": "d", "x": "s"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    kept = read(tmp_path / "a.jsonl", ("x",)).column("x").to_pylist()
    assert [json.loads(kept[0]), *kept[1:]] == [{"é": [1]}, None, None, "s"]


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.arrow", "a.csv"):
        with pytest.raises(InputValueError, match='no column "none" to keep; it has id, text, odd'):
            read(make(tmp_path / name), ("none",))
    with pytest.raises(InputValueError, match="plain lines have no columns to keep"):
        read(make(tmp_path / "a.txt"), ("id",))
    assert read(tmp_path / "a.txt", ("*",)).column_names == ["text"]
    with pytest.raises(InputValueError, match="need not have the same fields"):
        read(make(tmp_path / "a.jsonl"), ("*",))


def test_columns_that_would_stand_twice(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "vector": [1.0]}), tmp_path / "x.parquet")
    with pytest.raises(InputValueError, match='its column "vector" is one that shards have too'):
        read(tmp_path / "x.parquet", ("*",))
    with pytest.raises(InputValueError, match='its column "text" is one that shards have too'):
        read(make(tmp_path / "a.csv"), ("*",), column="odd")


def test_a_text_that_is_null_is_told_with_its_row(tmp_path: Path) -> None:
    texts = [*TEXTS[:2000], None]
    pq.write_table(pa.table({"text": texts}), tmp_path / "x.parquet", row_group_size=500)
    with pytest.raises(InputValueError, match=r'x.parquet, row 2001: "text" is null'):
        read(tmp_path / "x.parquet", start=1700)
