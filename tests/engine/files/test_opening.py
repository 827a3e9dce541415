"""Pipes are read where a file is read once, and refused at once where it is not; nothing waits for ever."""

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Index
from simcse_engine.errors import InputValueError
from simcse_engine.files.new_entries import open_entries
from simcse_engine.files.opening import open_input, suffix_of
from simcse_engine.files.texts import open_texts
from simcse_engine.index.storage.key_kinds import KEY_KINDS
from support.child import run_script
from support.commands import PROGRAM
from support.indexes import names, unit_vectors

CONTENTS = {
    "texts": b"one\ntwo\n",
    "texts.txt.gz": gzip.compress(b"one\ntwo\n"),
    "texts.jsonl": b'"one"\n{"text": "two"}\n',
    "texts.csv": b"text,n\none,1\ntwo,2\n",
    "texts.tsv.gz": gzip.compress(b"n\ttext\n1\tone\n2\ttwo\n"),
}


@pytest.fixture(params=CONTENTS)
def pipe(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A named pipe with a writer, which ends when it has written everything."""
    path = tmp_path / request.param
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(CONTENTS[request.param],), daemon=True)
    writer.start()
    yield path
    writer.join(60)
    assert not writer.is_alive()


def test_texts_from_a_pipe(pipe: Path) -> None:
    with open_texts(str(pipe)) as texts:
        assert texts.total is None
        assert list(texts) == ["one", "two"]
        assert texts.position == 0


def test_an_index_is_filled_from_a_pipe(pipe: Path, tmp_path: Path, artifact: Path) -> None:
    with Index.create(tmp_path / "index", artifact) as index:
        assert index.add_from(pipe) == [0, 1]
        assert [entry.text for entry in index.get([0, 1]) if entry] == ["one", "two"]


def test_vectors_from_a_pipe(tmp_path: Path, artifact: Path) -> None:
    path, rows = tmp_path / "vectors.jsonl", zip(names(3), unit_vectors(3).tolist(), strict=True)
    os.mkfifo(path)
    content = "".join(f"{json.dumps({'text': text, 'vector': vector})}\n" for text, vector in rows)
    writer = threading.Thread(target=path.write_text, args=(content,), daemon=True)
    writer.start()
    with Index.create(tmp_path / "index", artifact) as index:
        assert index.add_from(path) == [0, 1, 2]
        assert index.search(unit_vectors(3)[[1]], k=1)[0][0].key == 1
    writer.join(60)


def test_what_a_pipe_holds_instead(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    os.mkfifo(path)
    threading.Thread(target=path.write_bytes, args=(gzip.compress(b"one\n"),), daemon=True).start()
    with pytest.raises(InputValueError, match="is compressed with gzip"), open_texts(str(path)) as texts:
        next(texts)


# No pipe here has a writer: whoever opens one to read waits until the script is ended.
REFUSED = """
import os, sys
from pathlib import Path
from simcse_engine import Encoder, Index, SimCSEError
from simcse_engine.cli.main import main
from simcse_engine.measure.plot import check_plot
from simcse_engine.measure.sts import read_tasks

folder, artifact = Path(sys.argv[1]), sys.argv[2]
for name in ("v.npy", "v.parquet", "v.arrow", "v.jsonl", "keys.npy", "plot.svg", "sts/task.tsv"):
    (folder / name).parent.mkdir(exist_ok=True)
    os.mkfifo(folder / name)
(folder / "texts.txt").write_text("one\\n")
os.mkfifo(folder / ".out.npy.partial-1")

def refused(what, *arguments, **options):
    try:
        what(*arguments, **options)
    except SimCSEError as error:
        assert "pipe" in str(error), error
    else:
        raise AssertionError(arguments)

with Index.create(folder / "index", artifact) as index:
    index.add(["one"])
    for name in ("v.npy", "v.parquet", "v.arrow"):
        refused(index.add_from, folder / name, texts=["a"] if name == "v.npy" else None)
    for name in ("v.jsonl", "v.parquet"):
        refused(index.export, folder / name)
refused(read_tasks, folder / "sts")
refused(check_plot, folder / "plot.svg")

def fails(*arguments):
    sys.stderr = open(folder / "stderr", "w+")
    code = main([str(argument) for argument in arguments])
    sys.stderr.seek(0)
    message = sys.stderr.read()
    sys.stderr.close()
    sys.stderr = sys.__stderr__
    assert code == 1, arguments
    assert "pipe" in message, message

fails("encode", "nowhere", folder / "texts.txt", "-o", folder / "v.npy")
fails("index", "add", folder / "index", folder / "v.npy", "--texts", folder / "texts.txt")
fails("index", "add", folder / "index", folder / "v.parquet")
(folder / "v.npy").unlink()
(folder / "v.npy").write_bytes(b"")
texts = ["--texts", folder / "texts.txt"]
fails("index", "add", folder / "index", folder / "v.npy", *texts, "--keys", folder / "keys.npy")
fails("search", folder / "index", "--file", folder / "v.parquet")
fails("evaluate", artifact, "--sts", folder / "sts")
assert main(["encode", artifact, str(folder / "texts.txt"), "-o", str(folder / "out.npy"), "--json"]) == 0
"""


def test_refused_at_once(tmp_path: Path, artifact: Path) -> None:
    run_script(REFUSED, tmp_path, artifact, seconds=120)


ARTIFACT = """
import os, sys
from pathlib import Path
from simcse_engine import Encoder
from simcse_engine.errors import ArtifactError

folder = Path(sys.argv[1])
for name in sorted(os.listdir(folder)):
    (folder / name).rename(folder / "aside")
    os.mkfifo(folder / name)
    try:
        Encoder(folder)
    except ArtifactError as error:
        assert name in str(error), error
    else:
        raise AssertionError(name)
    (folder / name).unlink()
    (folder / "aside").rename(folder / name)
Encoder(folder).close()
"""


def test_an_artifact_s_files_are_no_pipes(artifact_copy: Path) -> None:
    run_script(ARTIFACT, artifact_copy)


@pytest.mark.parametrize("source", ['<(printf "one\\ntwo\\n")', '/dev/stdin < <(printf "one\\ntwo\\n")'])
@pytest.mark.parametrize("command", ['encode "$2" SOURCE -o "$3/vectors.npy"', 'index create "$3/index" "$2" SOURCE'])
def test_process_substitution(tmp_path: Path, artifact: Path, command: str, source: str) -> None:
    line = f'"$0" -c "$1" {command.replace("SOURCE", source)}'
    subprocess.run(["bash", "-c", line, sys.executable, PROGRAM, artifact, tmp_path], timeout=60, check=True)
    if "vectors" in command:
        assert len(np.load(tmp_path / "vectors.npy")) == 2
    else:
        with Index.open(tmp_path / "index") as index:
            assert [entry.text for entry in index.get([0, 1]) if entry] == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("x" * 5000, "cannot be read"), ("a\0b", "is no path"), ("none", "no such"), (".", "is a folder")],
)
def test_no_such_file(name: str, message: str) -> None:
    with pytest.raises(InputValueError, match=message):
        open_input(Path(name))
    with pytest.raises(InputValueError, match=message), open_entries(name, KEY_KINDS["int"]):
        pass


def test_the_suffix_that_tells_the_format() -> None:
    assert [suffix_of(name) for name in ("a.CSV", "a.csv.ZST", "a.gz", "-", "a", ".gz")] == [
        ".csv",
        ".csv",
        "",
        "",
        "",
        "",
    ]
