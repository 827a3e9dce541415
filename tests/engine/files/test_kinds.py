"""A file is told by its first bytes, and no text is taken for anything else."""

import bz2
import gzip
import io
import lzma
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from simcse_engine.errors import InputValueError
from simcse_engine.files.kinds import other_kind
from simcse_engine.files.texts import open_texts

TEXT = b"A man plays a guitar.\n"


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("texts.txt"), io.BytesIO())
    return stream.getvalue()


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("xl/workbook.xml", "")
    return stream.getvalue()


def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ones(3))
    return stream.getvalue()


def database(folder: Path) -> bytes:
    connection = sqlite3.connect(folder / "database")
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    return (folder / "database").read_bytes()


def test_what_a_file_is(tmp_path: Path) -> None:
    contents = {
        "gzip": gzip.compress(TEXT),
        "xz": lzma.compress(TEXT),
        "bzip2": bz2.compress(TEXT),
        "zip archive": archive(),
        "tar archive": tar(),
        "npy": npy(),
        "SQLite": database(tmp_path),
        "UTF-16": TEXT.decode().encode("utf-16"),
        "zstd": b"\x28\xb5\x2f\xfd" + bytes(20),
    }
    for name in ("texts.txt", "texts.jsonl", "texts.csv"):
        for kind, content in contents.items():
            (tmp_path / name).write_bytes(content)
            with pytest.raises(InputValueError, match=f"{name}: is .*{kind}.*; "), open_texts(str(tmp_path / name)):
                pass


def test_parquet_and_arrow_by_other_names(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"text": ["a"]})
    parquet.write_table(table, tmp_path / "p.txt")
    with arrow.ipc.new_file(str(tmp_path / "a.txt"), table.schema) as file:
        file.write_table(table)
    for name, kind in (("p.txt", "Parquet"), ("a.txt", "Arrow")):
        message = f"is an? {kind} file; let its name end with"
        with pytest.raises(InputValueError, match=message), open_texts(str(tmp_path / name)):
            pass


@pytest.mark.parametrize("text", ["PAR1 is a word", "BZh9 too", "PK", "ARROW1", "7z", "SQLite format 3", "ustar", ""])
def test_texts_that_begin_like_a_file(tmp_path: Path, text: str) -> None:
    assert other_kind(text.encode()) is None
    (tmp_path / "texts.txt").write_text(text + "\n")
    with open_texts(str(tmp_path / "texts.txt")) as texts:
        assert list(texts) == [text]
