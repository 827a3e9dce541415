"""Folders of shards in tests: read back, row by row."""

import json
from pathlib import Path
from typing import Any


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
