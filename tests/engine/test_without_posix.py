"""What only POSIX has is not needed to import, encode, write files and search. It never ran on Windows itself."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Encoder
from support.child import run_script

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="locks of an open file's ranges are Linux's")

TESTS = Path(__file__).parents[1]
TEXTS = ["A man plays a guitar.", "", "The stock market fell.", "一个男人在弹吉他。"]

EVERYTHING = """
    from support.indexes import SMALL, unit_vectors
    import simcse_engine, simcse_export, simcse_engine.cli.main, simcse_export.cli
    from simcse_engine.errors import IndexLockedError, OutputError

    for name in simcse_engine.__all__:
        getattr(simcse_engine, name)
    artifact, folder = Path(sys.argv[1]), Path(sys.argv[2])
    texts = json.loads(sys.argv[3])
    with simcse_engine.Encoder(artifact) as encoder:
        np.save(folder / "vectors.npy", encoder.encode(texts))
    with simcse_engine.Index.create(folder / "index", artifact) as index:
        index.add(texts, metadata=[{"n": n} for n in range(len(texts))])
        try:
            simcse_engine.Index.open(folder / "index", read_only=False)
        except IndexLockedError as error:
            assert f"process {os.getpid()} on " in str(error), error
        else:
            raise AssertionError("two writers")
        hits, = index.search([texts[0]], k=1, where={"n": {"$lt": 3}})
        assert hits[0].text == texts[0]
        index.remove([1])
        index.compact()
        index.export(folder / "entries.jsonl")
    with simcse_engine.Index(folder / "index", limits=SMALL) as index:
        index.add_vectors(unit_vectors(200, 5), [str(n) for n in range(200)])
        index.checkpoint()
        assert any(path.suffix == ".usearch" for path in (folder / "index").iterdir())
        index.compact()
        assert len(index) == 203
    with simcse_engine.Index.open(folder / "index", read_only=True) as index:
        assert len(index.search(texts[2:], k=2)) == 2
    print(sorted(path.name for path in folder.iterdir()))
"""


def without_posix(script: str, *arguments: object) -> str:
    """Run a script where only the parts of Python are that Windows has."""
    head = """
    import json, os, sys
    from pathlib import Path
    import support.without_posix
    import numpy as np
    """
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return run_script(head + script, *arguments, PYTHONPATH=path)


def test_everything_public_works(artifact: Path, tmp_path: Path) -> None:
    printed = without_posix(EVERYTHING, artifact, tmp_path, json.dumps(TEXTS))
    assert printed == "['entries.jsonl', 'index', 'vectors.npy']\n"
    with Encoder(artifact) as encoder:
        np.testing.assert_array_equal(np.load(tmp_path / "vectors.npy"), encoder.encode(TEXTS))
    assert len((tmp_path / "entries.jsonl").read_text(encoding="utf-8").splitlines()) == 3
    assert not [path.name for path in (tmp_path / "index").iterdir() if "partial" in path.name]


def test_the_command_line_works(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    script = """
    from simcse_engine.cli.main import main

    sys.stderr = sys.stdout
    artifact, folder = sys.argv[1], Path(sys.argv[2])
    texts, index = str(folder / "texts.txt"), str(folder / "index")
    for command in (
        ["encode", artifact, texts, "-o", str(folder / "vectors.npy")],
        ["encode", artifact, texts, "-o", str(folder / "vectors.npy")],
        ["index", "create", index, artifact],
        ["index", "add", index, texts],
        ["search", index, "A man plays a guitar."],
        ["similarity", artifact, "a", "a"],
        ["info", artifact],
    ):
        assert main(command) == 0, command
    """
    printed = without_posix(script, artifact, tmp_path)
    assert "A man plays a guitar." in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "texts.txt", "vectors.npy"]


def test_files_appear_whole_and_what_a_killed_writer_left_goes(tmp_path: Path) -> None:
    script = """
    import subprocess
    from simcse_engine.files.atomic import whole_file, whole_folder

    folder = Path(sys.argv[1])
    if len(sys.argv) > 2:
        with whole_folder(folder / "folder") as staging, whole_file(folder / "file") as file:
            (staging / "content").write_text("half")
            file.write_text("half")
            print("half", flush=True)
            sys.stdin.readline()
            os._exit(9)

    def write(text):
        with whole_folder(folder / "folder", replace=True) as staging:
            (staging / "content").write_text(text)
        with whole_file(folder / "file") as file:
            file.write_text(text)

    def names():
        return sorted(path.name for path in folder.iterdir())

    child = subprocess.Popen([sys.executable, *sys.orig_argv[1:], "half"], stdin=-1, stdout=-1, text=True)
    assert child.stdout.readline() == "half\\n"
    write("first")
    assert len(names()) == 6, names()  # a living writer's: two, with a lock beside each
    child.communicate("die\\n")
    assert child.returncode == 9
    assert len(names()) == 6
    write("second")
    assert names() == ["file", "folder"], names()
    assert (folder / "folder/content").read_text() == (folder / "file").read_text() == "second"
    """
    without_posix(script, tmp_path)


def test_locks_of_readers_and_writers(tmp_path: Path) -> None:
    script = """
    from simcse_engine.files.handles import read_at, write_at
    from simcse_engine.files.locks import give_up, take

    def refused(handle, **options):
        try:
            take(handle, **options)
        except BlockingIOError:
            return True
        return False

    first, second, third = (os.open(sys.argv[1], os.O_RDWR | os.O_CREAT) for _ in range(3))
    take(first, shared=True)
    take(second, shared=True)
    assert refused(third)
    give_up(first)
    assert refused(third)
    os.close(second)
    take(third)
    assert refused(first) and refused(first, shared=True)
    write_at(first, b"whoever asks for no lock", 0)
    assert read_at(third, 99, 8) == b"asks for no lock"
    give_up(third)
    take(first, wait=True)
    """
    without_posix(script, tmp_path / "lock")
