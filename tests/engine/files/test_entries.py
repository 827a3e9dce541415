"""Entries out to files and in again."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder, Index
from simcse_engine.errors import IndexMismatchError, InputTypeError, InputValueError, OutputError
from simcse_engine.files.vectors import create_vectors
from simcse_engine.forms import DType, VectorForm
from simcse_export import ExportOptions, export
from support.indexes import filled, names, unit_vectors

KINDS = ["e.parquet", "e.arrow", "e.jsonl"]


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if not request.param.endswith(".jsonl"):
        pytest.importorskip("pyarrow")
    return tmp_path / request.param


def test_out_and_in_again(tmp_path: Path, artifact: Path, target: Path) -> None:
    vectors = filled(tmp_path / "index", artifact, 100)
    with Index.open(tmp_path / "index") as index:
        index.add_vectors(vectors[:2], ["\0 odd\n", ""], keys=[2**64 - 2, 5], metadata=[{"ü": [None]}, None])
        index.remove([7])
        assert index.export(target) == 100
        keys = [*range(100), 2**64 - 2]
        entries = index.get(keys)
    with Index.create(tmp_path / "other", artifact) as other:
        done: list[int] = []
        added = other.add_from(target, progress=done.append)
        assert sorted(added) == sorted({*keys} - {7})
        assert sum(done) == 100
        assert other.get(keys) == entries
        # To the bit.
        hit = other.search(vectors[[3]], k=1)[0][0]
        assert (hit.key, hit.score) == (3, 1.0)
        assert other.add_from(target) == added
        assert len(other) == 100


def test_parquet_for_others(tmp_path: Path, artifact: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    vectors = filled(tmp_path / "index", artifact, 30)
    with Index.open(tmp_path / "index", read_only=True) as index:
        index.export(tmp_path / "e.parquet")
    table = parquet.read_table(tmp_path / "e.parquet")
    assert [str(kind) for kind in table.schema.types] == [
        "uint64",
        "string",
        "string",
        "fixed_size_list<element: float>[32]",
    ]
    assert table["key"].to_pylist() == [*range(30)]
    assert json.loads(table["metadata"][3].as_py()) == {"n": 3}
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), np.float32), vectors)


def test_what_encode_writes(tmp_path: Path, artifact: Path) -> None:
    """Parquet with texts and vectors alone; and `.npy`, whose texts come from the caller."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    vectors = unit_vectors(5)
    parquet.write_table(arrow.table({"text": names(5), "vector": list(vectors)}), tmp_path / "v.parquet")
    np.save(tmp_path / "v.npy", 2 * vectors)
    with Index.create(tmp_path / "index", artifact) as index:
        assert index.add_from(tmp_path / "v.parquet") == [*range(5)]
        assert index.add_from(tmp_path / "v.npy", texts=names(5), keys=range(10, 15)) == [*range(10, 15)]
        assert [hit.key for hit in index.search(vectors[[2]], k=2)[0]] == [2, 12]


@pytest.mark.parametrize("name", ["texts.txt", "texts.jsonl", "texts.csv.gz"])
def test_texts_are_encoded(tmp_path: Path, artifact: Path, name: str) -> None:
    contents = {
        "texts.txt": "the cat\na man plays\n",
        "texts.jsonl": '{"text": "the cat", "n": "1", "key": 7}\n{"text": "a man plays", "n": "2", "key": 3}\n',
        "texts.csv.gz": "n,text,key\n1,the cat,7\n2,a man plays,3\n",
    }
    content = contents[name].encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with Index.create(tmp_path / "index", artifact) as index:
        done: list[int] = []
        keys = index.add_from(tmp_path / name, progress=done.append)
        assert (keys, sum(done)) == ([0, 1] if name == "texts.txt" else [7, 3], 2)
        metadata = [None, None] if name == "texts.txt" else [{"n": "1"}, {"n": "2"}]
        assert [(entry.text, entry.metadata) for entry in index.get(keys) if entry] == [
            *zip(["the cat", "a man plays"], metadata, strict=True)
        ]
        assert index.search(["a man plays"], k=1)[0][0].key == keys[1]
        for wrong, message in (({"keys": [1, 2]}, "bring theirs"), ({"texts": ["a", "b"]}, "texts of its own")):
            with pytest.raises(InputValueError, match=message):
                index.add_from(tmp_path / name, **wrong)
        assert len(index) == 2


@pytest.mark.parametrize("vectors", [[[1.0] * 31, [1.0] * 33], [[], [1.0] * 64], [1.0, 2.0], ["a", "b"]])
def test_vectors_of_unlike_lengths(tmp_path: Path, artifact: Path, vectors: list[Any]) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"text": ["a", "b"], "vector": vectors}), tmp_path / "v.parquet")
    with Index.create(tmp_path / "index", artifact) as index:
        with pytest.raises(InputValueError, match="lists of floats of one length"):
            index.add_from(tmp_path / "v.parquet")
        assert len(index) == 0


def test_another_artifact_s_vectors(tmp_path: Path, artifact: Path, target: Path) -> None:
    filled(tmp_path / "index", artifact, 5)
    with Index.open(tmp_path / "index") as index:
        index.export(target)
        index._binding._about = type(index.about)(**{**vars(index.about), "identity": "0" * 64})
        with pytest.raises(IndexMismatchError, match="encode the texts with"):
            index.add_from(target)


def test_refused(tmp_path: Path, artifact: Path) -> None:
    np.save(tmp_path / "v.npy", unit_vectors(5))
    np.save(tmp_path / "flat.npy", np.ones(5))
    with (tmp_path / "archive.npy").open("wb") as file:
        np.savez(file, a=np.ones(5))
    np.save(tmp_path / "objects.npy", np.array([None]), allow_pickle=True)
    content = (tmp_path / "v.npy").read_bytes()
    # A header is Python's source.
    (tmp_path / "open.npy").write_bytes(content.replace(b", }", b"[  "))
    (tmp_path / "indent.npy").write_bytes(content.replace(b"{'descr'", b"\n  \n {'d"))
    for name in ("x.npy", "x.parquet", "x.arrow", "x.jsonl"):
        (tmp_path / name).write_bytes(b"garbage\n")
    (tmp_path / "y.jsonl").write_text('{"text": "a", "vector": [1]}\n{"text": "a"}\n')
    (tmp_path / "z.jsonl").write_text('{"text": "a", "vector": [1, 2]}\n{"text": "a", "vector": [1]}\n')
    (tmp_path / "k.jsonl").write_text('{"text": "a", "vector": [1], "key": 1}\n{"text": "a", "vector": [1]}\n')
    (tmp_path / "i.jsonl").write_text('{"text": "a", "vector": [1], "identity": []}\n')
    (tmp_path / "n.jsonl").write_text(f'{{"text": "a", "vector": [1{"0" * 400}]}}\n')
    cases = [
        ("v.npy", {}, "holds no texts"),
        ("v.npy", {"texts": ["a"]}, "of shape"),
        ("flat.npy", {"texts": ["a"]}, "of shape"),
        ("archive.npy", {"texts": ["a"]}, "npz archive"),
        ("objects.npy", {"texts": ["a"]}, "no .npy file"),
        ("x.npy", {"texts": ["a"]}, "no .npy file"),
        ("open.npy", {"texts": ["a"]}, "no .npy file"),
        ("indent.npy", {"texts": ["a"]}, "no .npy file"),
        ("x.jsonl", {}, "line 1: not JSON"),
        ("y.jsonl", {}, 'line 2: expected an object with "text" and "vector"'),
        ("z.jsonl", {}, "of one length"),
        ("k.jsonl", {}, "some have none"),
        ("i.jsonl", {}, "of what is none"),
        ("n.jsonl", {}, "lists of numbers"),
        ("none.jsonl", {}, "no such file"),
        ("v.txt", {}, "no such file"),
        ("x.jsonl", {"texts": ["a"]}, "of its own"),
        ("y.jsonl", {"keys": [1]}, "bring theirs themselves"),
    ]
    with Index.create(tmp_path / "index", artifact) as index:
        for name, arguments, message in cases:
            with pytest.raises(InputValueError, match=message):
                index.add_from(tmp_path / name, **arguments)
        with pytest.raises(InputValueError, match="must end with"):
            index.export(tmp_path / "e.csv")
        with pytest.raises(OutputError):
            index.export(tmp_path / "nowhere/e.jsonl")
        assert len(index) == 0


def test_arrow_files_refused(tmp_path: Path, artifact: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    vectors = list(unit_vectors(2))
    tables = {
        "columns": ({"vector": vectors}, InputValueError, 'no column "text"; it has vector'),
        "nulls": ({"text": ["a", None], "vector": vectors}, InputValueError, 'row 2: "text" is null'),
        "no vector": ({"text": ["a", "b"], "vector": [vectors[0], None]}, InputValueError, "holds nulls"),
        "some keys": ({"text": ["a", "b"], "vector": vectors, "key": [1, None]}, InputValueError, "some have none"),
        "lengths": ({"text": ["a", "b"], "vector": [[1.0], [1.0, 2.0]]}, InputValueError, "one length"),
        "strings": ({"text": ["a", "b"], "vector": [["x"], ["y"]]}, InputValueError, "floats"),
        "metadata": (
            {"text": ["a", "b"], "vector": vectors, "metadata": [None, "{"]},
            InputValueError,
            "row 2: .*not JSON",
        ),
        "list": ({"text": ["a", "b"], "vector": vectors, "metadata": ["[]", None]}, InputTypeError, "expected an obj"),
    }
    with Index.create(tmp_path / "index", artifact) as index:
        for name, (columns, error, message) in tables.items():
            parquet.write_table(arrow.table(columns), tmp_path / f"{name}.parquet")
            with pytest.raises(error, match=message):
                index.add_from(tmp_path / f"{name}.parquet")
        for name in ("x.parquet", "x.arrow"):
            (tmp_path / name).write_bytes(b"garbage")
            with pytest.raises(InputValueError, match="not a readable"):
                index.add_from(tmp_path / name)


TEXTS = ["a man", "the cat", "a guitar"]


def encoded(artifact: Path, target: Path, **options: Any) -> Path:
    """What encode writes."""
    with Encoder(artifact) as encoder:
        form = VectorForm.of(encoder.manifest, **options)
        with create_vectors(target, form.facts(encoder.manifest.identity, "")) as write:
            write(TEXTS, encoder.encode(TEXTS, **options))
    return target


@pytest.mark.parametrize("name", ["v.npy", *KINDS])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_encoded_floats_come_in(tmp_path: Path, artifact: Path, name: str, dtype: DType) -> None:
    source = encoded(artifact, tmp_path / name, dtype=dtype)
    with Index.create(tmp_path / "index", artifact) as index:
        index.add_from(source, texts=TEXTS if name == "v.npy" else None)
        hits = index.search(TEXTS, k=1)
        assert [hit[0].text for hit in hits] == TEXTS
        assert all(hit[0].score == pytest.approx(1, abs=1e-6 if dtype == "float32" else 1e-3) for hit in hits)
        assert all(hit[0].metadata is None for hit in hits)


@pytest.mark.parametrize("name", ["v.npy", *KINDS])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "binary", "ubinary"])
def test_other_forms_stay_out(tmp_path: Path, artifact: Path, name: str, dtype: DType) -> None:
    source = encoded(artifact, tmp_path / name, dtype=dtype)
    with Index.create(tmp_path / "index", artifact) as index:
        with pytest.raises(InputValueError, match="an index takes vectors of floats; encode the texts again without"):
            index.add_from(source, texts=TEXTS if name == "v.npy" else None)
        assert len(index) == 0


def test_whole_numbers_of_a_users_own_come_in(tmp_path: Path, artifact: Path) -> None:
    whole = np.rint(unit_vectors(3) * 1000).astype(np.int16)
    np.save(tmp_path / "v.npy", whole)
    # A "dtype" beside floats is metadata like any other.
    rows = [{"text": "d", "vector": [0.5, *[0] * 31], "dtype": "int8"}, {"text": "e", "vector": [1, *[0] * 31]}]
    (tmp_path / "v.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with Index.create(tmp_path / "index", artifact) as index:
        assert index.add_from(tmp_path / "v.npy", texts=TEXTS) == [0, 1, 2]
        np.testing.assert_allclose(index.search(whole, k=1)[2][0].score, 1, atol=1e-6)
        assert index.add_from(tmp_path / "v.jsonl") == [3, 4]
        entry = index.get([3])[0]
        assert entry is not None
        assert entry.metadata == {"dtype": "int8"}


@pytest.mark.parametrize("name", ["v.parquet", "v.arrow"])
def test_vectors_behind_another_prompt_stay_out(tmp_path: Path, prompted: Path, name: str) -> None:
    pytest.importorskip("pyarrow")
    Index.create(tmp_path / "index", prompted).close()
    for prompt_name in ("query", "document", "other"):
        source = tmp_path / f"{prompt_name}-{name}"
        with Encoder(prompted) as encoder:
            prompt = encoder.prompts.by_name[prompt_name]
            with create_vectors(source, VectorForm.of(encoder.manifest).facts(encoder.manifest.identity, prompt)) as to:
                to(TEXTS, encoder.encode(TEXTS, prompt=prompt))
        with Index.open(tmp_path / "index") as index:
            if prompt_name == "document":
                assert len(index.add_from(source)) == 3
                continue
            expected = f"behind the prompt '{prompt}', those of .* behind 'a man '; encode the texts with encode_doc"
            with pytest.raises(IndexMismatchError, match=expected):
                index.add_from(source)
            # The same where the encoder is open.
            index.search(["a man"])
            with pytest.raises(IndexMismatchError, match=expected):
                index.add_from(source)
            assert len(index) == (0 if prompt_name == "query" else 3)


@pytest.mark.parametrize("name", ["v.npy", *KINDS])
def test_cut_vectors_stay_out(tmp_path: Path, artifact: Path, name: str) -> None:
    source = encoded(artifact, tmp_path / name, dimensions=16)
    with Index.create(tmp_path / "index", artifact) as index:
        with pytest.raises(IndexMismatchError, match="vectors are of dimension 16, this index's of 32"):
            index.add_from(source, texts=TEXTS if name == "v.npy" else None)
        assert len(index) == 0


@pytest.mark.parametrize("name", ["v.parquet", "v.arrow"])
def test_encoded_with_another_artifact(tmp_path: Path, artifact: Path, checkpoint: Path, name: str) -> None:
    export(checkpoint, tmp_path / "avg", ExportOptions(pooler="avg", max_tokens=32))
    source = encoded(tmp_path / "avg", tmp_path / name)
    with (
        Index.create(tmp_path / "index", artifact) as index,
        pytest.raises(IndexMismatchError, match="the vectors are of artifact "),
    ):
        index.add_from(source)
