"""The command info."""

import json
from pathlib import Path

import pytest

from simcse_engine import Manifest
from support.commands import run


def test_info(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", artifact) == 0
    out = capsys.readouterr().out
    manifest = Manifest.read(artifact)
    for fact in (str(artifact), manifest.identity, manifest.source.id, manifest.precision, *manifest.files):
        assert fact in out


def test_info_json_is_the_manifest(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", artifact, "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads((artifact / "manifest.json").read_bytes())
