"""The command verify."""

import json
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Manifest
from support.commands import failure, run


def write(path: Path, texts: list[str]) -> Path:
    path.write_bytes("".join(text + "\n" for text in texts).encode())
    return path


def test_verify(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", artifact) == 0
    out = capsys.readouterr().out
    assert "agrees with the reference model" in out
    assert "min cosine" in out


def test_verify_json(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", artifact, "--json", "--threads", "1") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is True
    assert document["precision"] == "fp32"
    assert 0 <= document["max_abs_difference"] <= 2e-6
    assert document["min_cosine"] >= 0.999999


def test_verify_of_an_altered_artifact(artifact_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray((artifact_copy / "model.onnx.data").read_bytes())
    content[len(content) // 2] ^= 1
    (artifact_copy / "model.onnx.data").write_bytes(content)
    assert "altered since export" in failure(capsys, "verify", artifact_copy)


def test_verify_fails_where_vectors_differ(artifact_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with np.load(artifact_copy / "check.npz") as arrays:
        kept = dict(arrays)
    kept["vectors"] = np.roll(kept["vectors"], 1, axis=0)
    np.savez(artifact_copy / "check.npz", **kept)
    manifest = Manifest.read(artifact_copy)
    facts = {name: getattr(manifest, name) for name in manifest.__dataclass_fields__ if name != "files"}
    Manifest.describe(artifact_copy, **facts).write(artifact_copy)
    assert "vectors differ from the reference model's" in failure(capsys, "verify", artifact_copy)
