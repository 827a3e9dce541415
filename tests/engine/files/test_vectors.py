"""Vector files hold exactly what was written, and are there whole or not at all."""

import json
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from simcse_engine.errors import InputValueError, OutputError
from simcse_engine.files.vectors import VectorFacts, check_suffix, check_target, create_vectors

FORMATS = ["vectors.npy", "vectors.jsonl", "vectors.parquet", "vectors.arrow"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


IDENTITY = "0123456789abcdef" * 4
# What each is called, and how it is stored.
DTYPES = {
    "float32": np.float32,
    "float16": np.float16,
    "int8": np.int8,
    "uint8": np.uint8,
    "binary": np.int8,
    "ubinary": np.uint8,
}


def facts_of(columns: int, dtype: str = "float32") -> VectorFacts:
    bits = 8 if "binary" in dtype else 1
    return VectorFacts(
        columns=columns, numpy=np.dtype(DTYPES[dtype]), dtype=dtype, dimensions=columns * bits, identity=IDENTITY
    )


def write(path: Path, dimension: int, blocks: list[tuple[list[str], NDArray[np.float32]]]) -> None:
    with create_vectors(path, facts_of(dimension)) as append:
        for texts, vectors in blocks:
            append(texts, vectors)


def load(path: Path, dtype: str = "float32") -> tuple[list[str] | None, NDArray[Any]]:
    """Texts, where the format has them, and vectors, read by other software than ours."""
    if path.suffix == ".npy":
        return None, np.load(path, allow_pickle=False)
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_bytes().decode().split("\n")[:-1]]
        return [row["text"] for row in rows], np.array([row["vector"] for row in rows], DTYPES[dtype])
    table = open_table(path)
    lists = table.column("vector").combine_chunks()
    return table.column("text").to_pylist(), lists.flatten().to_numpy().reshape(-1, lists.type.list_size)


def open_table(path: Path) -> Any:
    if path.suffix == ".parquet":
        return pytest.importorskip("pyarrow.parquet").read_table(path)
    return pytest.importorskip("pyarrow").ipc.open_file(path).read_all()


def numbered(rows: int, dimension: int, start: int = 0) -> tuple[list[str], NDArray[np.float32]]:
    count = np.arange(start * dimension, (start + rows) * dimension, dtype=np.float32)
    return [f"text {i}" for i in range(start, start + rows)], count.reshape(rows, dimension)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture(params=FORMATS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param.endswith((".parquet", ".arrow")):
        pytest.importorskip("pyarrow")
    return tmp_path / request.param


@settings(max_examples=30)
@given(data=st.data(), name=st.sampled_from(FORMATS), dimension=st.integers(1, 5), sizes=st.lists(st.integers(0, 4)))
def test_blocks_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str, dimension: int, sizes: list[int]
) -> None:
    if name.endswith((".parquet", ".arrow")):
        pytest.importorskip("pyarrow")
    blocks = []
    for size in sizes:
        vectors = data.draw(arrays(np.float32, (size, dimension), elements=FINITE))
        blocks.append((data.draw(st.lists(TEXT, min_size=size, max_size=size)), vectors))
    path = tmp_path_factory.mktemp("blocks") / name
    write(path, dimension, blocks)

    texts, vectors = load(path)
    expected = np.concatenate([np.empty((0, dimension), np.float32), *(v for _, v in blocks)])
    assert texts is None or texts == [text for block, _ in blocks for text in block]
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors.reshape(-1, dimension), expected)


def test_many_blocks(target: Path) -> None:
    sizes = [1, 999, 4000, 1, 5000, 17]
    starts = np.cumsum([0, *sizes])
    write(target, 3, [numbered(size, 3, int(start)) for size, start in zip(sizes, starts, strict=False)])
    texts, vectors = load(target)
    all_texts, all_vectors = numbered(sum(sizes), 3)
    assert texts is None or texts == all_texts
    np.testing.assert_array_equal(vectors, all_vectors)


def test_npy_of_no_rows_has_its_dimension(tmp_path: Path) -> None:
    write(tmp_path / "v.npy", 384, [])
    assert np.load(tmp_path / "v.npy").shape == (0, 384)


def test_npy_can_be_mapped(tmp_path: Path) -> None:
    write(tmp_path / "v.npy", 4, [numbered(1000, 4), numbered(234, 4, 1000)])
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, numbered(1234, 4)[1])
    assert mapped.offset % 64 == 0


def test_npy_is_what_numpy_would_save(tmp_path: Path) -> None:
    write(tmp_path / "v.npy", 4, [numbered(7, 4), numbered(5, 4, 7)])
    np.save(tmp_path / "numpy.npy", numbered(12, 4)[1])
    assert (tmp_path / "v.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()


def test_views_and_orders_of_arrays_do_not_matter(target: Path) -> None:
    vectors = numbered(6, 4)[1]
    write(target, 2, [(["a", "b", "c"], vectors[::2, ::2]), (["d", "e", "f"], np.asfortranarray(vectors[::2, 1::2]))])
    np.testing.assert_array_equal(load(target)[1], np.concatenate([vectors[::2, ::2], vectors[::2, 1::2]]))


def test_jsonl_has_a_row_a_line(tmp_path: Path) -> None:
    write(tmp_path / "v.jsonl", 2, [(['a "b"\n\r\u2028é'], np.array([[0.5, -1e-30]], np.float32))])
    content = (tmp_path / "v.jsonl").read_bytes()
    assert content.count(b"\n") == 1
    assert content.endswith(b"\n")
    assert "é".encode() in content
    assert set(json.loads(content)) == {"text", "vector"}


def test_parquet_schema_and_row_groups(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    write(tmp_path / "v.parquet", 3, [numbered(100, 3, i * 100) for i in range(100)])
    file = parquet.ParquetFile(tmp_path / "v.parquet")
    assert file.schema_arrow.field("text").type == arrow.string()
    assert file.schema_arrow.field("vector").type == arrow.list_(arrow.float32(), 3)
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sizes == [4096, 4096, 10_000 - 2 * 4096]


def test_parquet_of_no_rows(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    write(tmp_path / "v.parquet", 3, [])
    table = parquet.read_table(tmp_path / "v.parquet")
    assert table.num_rows == 0
    assert table.schema.field("vector").type == arrow.list_(arrow.float32(), 3)


def test_no_digit_is_lost(target: Path) -> None:
    # Floats as they come out of a model use all of their bits; those that Hypothesis likes best do not.
    random = np.random.default_rng(0)
    vectors = (random.standard_normal((500, 64)) * 10.0 ** random.integers(-30, 30, (500, 1))).astype(np.float32)
    write(target, 64, [([""] * 500, vectors)])
    np.testing.assert_array_equal(load(target)[1], vectors)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_comes_back(target: Path, dtype: str) -> None:
    numpy = np.dtype(DTYPES[dtype])
    # All numbers there are, but NaN and infinities.
    numbers = np.arange(2**8 if numpy.itemsize == 1 else 2**16, dtype=np.uint16).astype(f"u{min(numpy.itemsize, 2)}")
    vectors = numbers.view(numpy) if numpy.itemsize < 4 else numbers.astype(np.float32) / 7
    vectors = np.nan_to_num(vectors, nan=0, posinf=1, neginf=-1).reshape(-1, 4)
    texts = [str(i) for i in range(len(vectors))]
    with create_vectors(target, facts_of(4, dtype)) as append:
        append(texts, vectors)
    read_texts, read = load(target, dtype)
    assert read_texts in (None, texts)
    assert read.dtype == numpy
    np.testing.assert_array_equal(read, vectors)
    if target.suffix == ".jsonl":
        stated = json.loads(target.read_bytes().splitlines()[0]).get("dtype")
        assert stated == (None if dtype.startswith("float") else dtype)


@pytest.mark.parametrize("name", ["v.parquet", "v.arrow"])
def test_what_a_schema_says(tmp_path: Path, name: str) -> None:
    arrow = pytest.importorskip("pyarrow")
    with create_vectors(tmp_path / name, replace(facts_of(4, "binary"), prompt="query: ")) as append:
        append(["a"], np.zeros((1, 4), np.int8))
    schema = open_table(tmp_path / name).schema
    assert schema.field("vector").type == arrow.list_(arrow.int8(), 4)
    assert schema.metadata == {
        b"simcse_engine.identity": IDENTITY.encode(),
        b"simcse_engine.dtype": b"binary",
        b"simcse_engine.dimensions": b"32",
        b"simcse_engine.prompt": b"query: ",
    }


def test_an_old_file_is_replaced(target: Path) -> None:
    write(target, 2, [numbered(50, 2)])
    write(target, 3, [numbered(2, 3)])
    np.testing.assert_array_equal(load(target)[1], numbered(2, 3)[1])
    assert names(target.parent) == [target.name]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("existed", [True, False])
def test_an_interrupted_file_is_as_it_was(target: Path, error: type[BaseException], existed: bool) -> None:
    if existed:
        target.write_bytes(b"the old file")

    def interrupted() -> None:
        with create_vectors(target, facts_of(2)) as append:
            append(*numbered(10_000, 2))
            raise error

    with pytest.raises(error):
        interrupted()
    assert names(target.parent) == ([target.name] if existed else [])
    assert not existed or target.read_bytes() == b"the old file"


FILL_THE_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from simcse_engine.errors import OutputError
from simcse_engine.files.vectors import VectorFacts, create_vectors

facts = VectorFacts(columns=64, numpy=np.dtype(np.float32), dtype="float32", dimensions=64, identity="0" * 64)
# What a file may hold is bounded here as by a disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    with create_vectors(Path(sys.argv[1]), facts) as append:
        for _ in range(20):
            append(["a text"] * 5000, np.random.default_rng(0).random((5000, 64), np.float32))
except OutputError as error:
    print(error)
"""


def test_a_limit_on_the_size_of_files_is_an_output_error(target: Path) -> None:
    target.write_bytes(b"the old file")
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(target)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "would grow beyond this process's 200,000 bytes" in done.stdout
    assert target.read_bytes() == b"the old file"
    assert names(target.parent) == [target.name]


@pytest.mark.parametrize("name", ["vectors.csv", "vectors", ".npy", "npy", "vectors.npy.gz", "vectors.npz"])
def test_an_unknown_suffix_names_the_known_ones(tmp_path: Path, name: str) -> None:
    for check in (check_suffix, check_target):
        with pytest.raises(InputValueError, match=r"\.npy, \.jsonl, \.parquet or \.arrow"):
            check(tmp_path / name)
    with pytest.raises(InputValueError), create_vectors(tmp_path / name, facts_of(2)):
        pytest.fail("work was begun")
    assert names(tmp_path) == []


def test_a_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    write(tmp_path / "V.NPY", 2, [numbered(2, 2)])
    assert np.load(tmp_path / "V.NPY").shape == (2, 2)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules is how Python itself marks a module that must not be found.
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputValueError, match=r"pip install 'simcse-engine\[arrow\]'"):
        check_target(tmp_path / "v.parquet")
    check_target(tmp_path / "v.npy")


def test_a_folder_that_is_not_there(target: Path) -> None:
    with pytest.raises(OutputError), create_vectors(target.parent / "none" / target.name, facts_of(2)):
        pytest.fail("work was begun")


@pytest.mark.parametrize("name", ["vectors.npy", "vectors.jsonl"])  # Parquet's memory is Arrow's, and not traced
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    texts, vectors = numbered(100, 384)
    tracemalloc.start()
    try:
        write(target, 384, [])  # what the first use allocates for good
        tracemalloc.reset_peak()
        with create_vectors(target, facts_of(384)) as append:
            for _ in range(100):
                append(texts, vectors)  # 0.15 MB each
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
