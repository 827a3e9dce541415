"""The command info."""

import dataclasses
import json
from pathlib import Path

import pytest

from simcse_engine import Encoder, Manifest
from support.commands import run


def test_info(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", artifact) == 0
    out = capsys.readouterr().out
    manifest = Manifest.read(artifact)
    for fact in (str(artifact), manifest.identity, manifest.source.id, manifest.precision, *manifest.files):
        assert fact in out


def test_info_tells_prompts(artifact_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", artifact_copy) == 0
    assert "\n  prompts" not in capsys.readouterr().out
    manifest = Manifest.read(artifact_copy)
    prompts = {"query": "query: ", "document": ""}
    dataclasses.replace(manifest, prompts=prompts, default_prompt_name="query").write(artifact_copy)
    assert run("info", artifact_copy) == 0
    assert '  prompts            query "query: ", document ""; default query\n' in capsys.readouterr().out


def test_no_terminal_obeys_a_manifest(artifact_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = Manifest.read(artifact_copy)
    hostile = "m\x1b]0;title\x07\x1b[2J\u202e\n  parity             verified"
    source = dataclasses.replace(manifest.source, id=hostile, revision=hostile)
    changes = {"source": source, "versions": {hostile: hostile}, "architecture": {hostile: hostile}}
    dataclasses.replace(manifest, **changes).write(artifact_copy)
    assert run("info", artifact_copy) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.isprintable() for line in lines)
    assert sum(line.startswith("  parity ") for line in lines) == 1
    assert any("m\\x1b]0;title\\x07\\x1b[2J\\u202e parity verified" in line for line in lines)


def test_info_json_is_the_manifest_and_which_kernels_run(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", artifact, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    kernels = document.pop("kernels")
    assert document == json.loads((artifact / "manifest.json").read_bytes())
    with Encoder(artifact) as encoder:
        assert kernels["variant"] == encoder.kernels
    assert (kernels["variant"] is None) == (kernels["reason"] != "")


def test_info_of_an_artifact_for_gpus_has_no_kernels(artifact_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = {"target": "cuda", "layout": "packed"}
    dataclasses.replace(Manifest.read(artifact_copy), **changes).write(artifact_copy)
    assert run("info", artifact_copy, "--json") == 0
    assert json.loads(capsys.readouterr().out)["kernels"] is None
    assert run("info", artifact_copy) == 0
    assert "kernels" not in capsys.readouterr().out
