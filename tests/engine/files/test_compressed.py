"""Compressed files are read as what they hold; damaged ones end in an error, whatever they held."""

import gzip
import json
import os
import sys
from pathlib import Path

import pytest

import simcse_engine
from simcse_engine.errors import InputValueError
from simcse_engine.files import lines
from simcse_engine.files.opening import open_input
from simcse_engine.files.texts import open_texts
from support.child import run_script
from support.environments import overlay

TEXTS = [f"text {i} größer" for i in range(30_000)]
CONTENT = "".join(f"{text}\n" for text in TEXTS).encode()


def read(path: Path) -> list[str]:
    with open_texts(str(path)) as texts:
        return list(texts)


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt.GZ"
    # Two members, as from cat a.gz b.gz.
    path.write_bytes(gzip.compress(CONTENT[:100]) + gzip.compress(CONTENT[100:]))
    assert read(path) == TEXTS


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl.gz", '"one"\n{"text": "two, three"}\n'),
        ("a.csv.gz", 'text,n\none,1\n"two, three",2\n'),
        ("a.tsv.gz", "n\ttext\n1\tone\n2\ttwo, three\n"),
        ("a.gz", "one\ntwo, three\n"),
    ],
)
def test_formats(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(content.encode()))
    assert read(tmp_path / name) == ["one", "two, three"]


def damaged(whole: bytes) -> dict[str, bytes]:
    middle = len(whole) // 2
    return {
        "cut short": whole[:middle],
        "without its end": whole[:-4],
        "altered": whole[:-6] + bytes([whole[-6] ^ 255]) + whole[-5:],
        "followed by others": whole + b"garbage",
        "of another kind": CONTENT,
    }


@pytest.mark.parametrize("damage", damaged(bytes(9)))
def test_damaged_gzip(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "texts.txt.gz"
    path.write_bytes(damaged(gzip.compress(CONTENT))[damage])
    with pytest.raises(InputValueError, match=r"texts\.txt\.gz: is not gzip, or damaged or cut short \("):
        read(path)


def test_how_far(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt.gz"
    path.write_bytes(gzip.compress(CONTENT))
    with open_texts(str(path)) as texts:
        assert texts.total == path.stat().st_size
        next(texts)
        assert 0 < texts.position <= texts.total
        list(texts)
        assert texts.position == texts.total


@pytest.mark.parametrize("name", ["x.parquet.gz", "x.npy.gz", "x.arrow.zst"])
def test_what_is_read_at_any_place_is_not_compressed(tmp_path: Path, name: str) -> None:
    from simcse_engine.files.new_entries import open_entries
    from simcse_engine.index.storage.key_kinds import KEY_KINDS

    (tmp_path / name).write_bytes(gzip.compress(b"x"))
    texts = ["a"] if ".npy" in name else None
    with (
        pytest.raises(InputValueError, match="decompress it"),
        open_entries(str(tmp_path / name), KEY_KINDS["int"], texts=texts),
    ):
        pass


def test_a_bomb_is_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_MAX_BYTES", 1 << 20)
    for name, content in (("a.txt.gz", b"a"), ("a.jsonl.gz", b'"'), ("a.csv.gz", b"text\n")):
        (tmp_path / name).write_bytes(gzip.compress(content + bytes(1 << 24)))
        with pytest.raises(InputValueError, match="longer than 1 MB; expected a text per line"):
            read(tmp_path / name)


def test_closed_with_its_block(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt.gz"
    path.write_bytes(gzip.compress(CONTENT))
    before = len([*Path("/dev/fd").iterdir()])
    with open_input(path):
        assert len([*Path("/dev/fd").iterdir()]) == before + 1
    assert len([*Path("/dev/fd").iterdir()]) == before


ZSTD = """
import json, sys
from pathlib import Path
import zstandard
from simcse_engine.errors import InputValueError
from simcse_engine.files.texts import open_texts

folder, content = Path(sys.argv[1]), json.loads(sys.argv[2]).encode() * 1000
compress = zstandard.ZstdCompressor().compress
whole = compress(content[:700]) + compress(content[700:])

def read(name, data):
    (folder / name).write_bytes(data)
    with open_texts(str(folder / name)) as texts:
        return list(texts)

assert read("a.txt.zst", whole) == content.decode().splitlines()
assert read("a.jsonl.zst", compress(b'"one"')) == ["one"]
assert read("bomb.txt.zst", compress((bytes(1 << 20) + b"\\n") * 64))[63] == "\\0" * (1 << 20)
for damaged in (whole[:-9], whole[:300] + b"garbage" + whole[307:], content, whole + b"more"):
    try:
        read("a.txt.zst", damaged)
    except InputValueError as error:
        assert "is not zstd, or damaged or cut short" in str(error), error
    else:
        raise AssertionError(damaged[:20])
"""


def test_zstd_with_the_package(tmp_path: Path) -> None:
    engine = Path(simcse_engine.__file__).parents[1]
    text = "text größer\nand another one\n"
    run_script(ZSTD, tmp_path, json.dumps(text), PYTHONPATH=f"{overlay('zstandard==0.25.0')}{os.pathsep}{engine}")


def test_zstd_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("zstandard", "compression"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "a.txt.zst").write_bytes(b"")
    with pytest.raises(InputValueError, match=r"pip install 'simcse-engine\[zstd\]', or decompress it"):
        read(tmp_path / "a.txt.zst")
