"""What is left to do: every row once, whatever was finished, and wherever a run was killed."""

from hypothesis import given
from hypothesis import strategies as st

from simcse_engine.shards.plan import Part, Range, parts_left, ranges_of, with_rows
from simcse_engine.shards.sources import Source


def source(name: str, rows: int | None) -> Source:
    return Source(path=f"/in/{name}", name=name, size=1000, mtime_ns=1, rows=rows)


@given(rows=st.integers(0, 200), shard_rows=st.integers(1, 50))
def test_ranges_cover_each_row_once(rows: int, shard_rows: int) -> None:
    ranges = ranges_of(rows, shard_rows)
    assert [row for each in ranges for row in range(*each)] == [*range(rows)]
    assert all(each.stop - each.start == shard_rows for each in ranges[:-1])
    assert ranges[-1].stop - ranges[-1].start in range(0 if rows == 0 else 1, shard_rows + 1)


files = st.dictionaries(
    st.builds("{}.{}".format, st.sampled_from("abcdef"), st.sampled_from(["parquet", "jsonl", "txt", "csv.gz"])),
    st.integers(0, 40),
    min_size=1,
    max_size=5,
)


@given(files=files, shard_rows=st.integers(1, 12), data=st.data())
def test_any_shards_and_any_kills_end_with_each_row_once(
    files: dict[str, int], shard_rows: int, data: st.DataObject
) -> None:
    every = [(name, each) for name, rows in files.items() for each in ranges_of(rows, shard_rows)]
    there = data.draw(st.sets(st.sampled_from(every)))
    encoded = [*there]
    for killed_after in [*data.draw(st.lists(st.integers(0, 6), max_size=4)), len(every)]:
        finished: dict[str, list[Range]] = {}
        for name, each in there:
            finished.setdefault(name, []).append(each)
        # A Parquet file counts its rows itself; of the others, a shard knows.
        sources = [
            with_rows(source(name, None), rows if name.endswith(".parquet") or name in finished else None)
            for name, rows in files.items()
        ]
        parts = parts_left(sources, shard_rows, finished)
        for name, each in as_workers_do(parts, files, shard_rows)[:killed_after]:
            assert (name, each) not in there
            there.add((name, each))
            encoded.append((name, each))
    assert sorted(encoded) == sorted(every)


def as_workers_do(parts: list[Part], files: dict[str, int], shard_rows: int) -> list[tuple[str, Range]]:
    return [
        (part.source.name, each)
        for part in parts
        for each in (ranges_of(files[part.source.name], shard_rows) if part.ranges is None else part.ranges)
    ]


def test_parquet_is_many_parts_and_any_other_file_is_one() -> None:
    parts = parts_left([source("a.parquet", 5), source("b.txt", 5), source("c.jsonl", None)], 2, {})
    assert [(part.source.name, part.ranges) for part in parts] == [
        *(("a.parquet", (each,)) for each in ranges_of(5, 2)),
        ("b.txt", tuple(ranges_of(5, 2))),
        ("c.jsonl", None),
    ]
    assert [part.rows for part in parts] == [2, 2, 1, 5, 0]
    assert [part.bytes for part in parts] == [400, 400, 200, 1000, 1000]


def test_what_is_finished_is_no_part() -> None:
    finished = {"b.txt": [Range(2, 4)], "c.txt": ranges_of(3, 2)}
    parts = parts_left([source("b.txt", 5), source("c.txt", 3)], 2, finished)
    assert [(part.source.name, part.ranges) for part in parts] == [("b.txt", (Range(0, 2), Range(4, 5)))]
