"""Folders of shards in tests: what they are made of, and what they hold, row by row."""

import json
from pathlib import Path
from typing import Any

import numpy as np

TEXTS = [f"the cat {'is on the mat ' * (i % 4)}{i}" for i in range(50)]
NAMES = ("a.parquet", "b.txt", "sub/c.jsonl")


def write_inputs(folder: Path) -> Path:
    """Files of every kind, with 50 texts each: shards of 20 rows end amid them."""
    import pyarrow
    import pyarrow.parquet

    (folder / "sub").mkdir(parents=True)
    columns = {"id": pyarrow.array(range(50), pyarrow.int16()), "text": TEXTS}
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "a.parquet", row_group_size=7)
    (folder / "b.txt").write_text("".join(text + "\n" for text in TEXTS))
    objects = [json.dumps({"text": text, "id": i}) for i, text in enumerate(TEXTS)]
    (folder / "sub/c.jsonl").write_text("\n".join(objects))
    (folder / "sub/empty.txt").touch()
    return folder


def shards(folder: Path) -> list[Path]:
    """The shards' files, in the order of their names."""
    return sorted(folder.rglob("*.parquet"))


def stated(path: Path) -> dict[str, Any]:
    """What a shard's schema says of its rows."""
    import pyarrow.parquet

    return json.loads(pyarrow.parquet.read_schema(path).metadata[b"simcse_engine.shard"])


def rows(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Every row of a folder by its input and its place there; fails where a row stands twice, or none."""
    import pyarrow.parquet

    found: dict[tuple[str, int], dict[str, Any]] = {}
    expected = {}
    for path in shards(folder):
        about = stated(path)
        name = about["input"]["path"]
        assert path == folder / f"{name}-{about['start']:012}.parquet"
        expected[name] = about["input"]["rows"]
        content = pyarrow.parquet.read_table(path, partitioning=None).to_pylist()
        assert len(content) == about["stop"] - about["start"]
        for place, row in enumerate(content, about["start"]):
            assert (name, place) not in found
            found[name, place] = row
    assert found.keys() == {(name, place) for name, count in expected.items() for place in range(count)}
    return found


def check(folder: Path, expected: np.ndarray, names: tuple[str, ...] = NAMES) -> None:
    """All rows, once, in the order of their files, with the vectors that one call gives them."""
    found = rows(folder)
    assert sorted(found) == sorted((name, i) for name in names for i in range(len(TEXTS)))
    for name in names:
        assert [found[name, i]["text"] for i in range(len(TEXTS))] == TEXTS
        np.testing.assert_allclose([found[name, i]["vector"] for i in range(len(TEXTS))], expected, atol=1e-6)


def times(folder: Path) -> dict[Path, int]:
    """When each shard was written."""
    return {path: path.stat().st_mtime_ns for path in shards(folder)}
