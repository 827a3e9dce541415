"""The command that is proposed to whoever opens a checkpoint: pasted into a shell, it exports it."""

import shlex
from pathlib import Path

import pytest

from simcse_engine import Encoder, Manifest
from simcse_engine.artifact.checkpoints import export_command
from simcse_engine.errors import ArtifactNotFoundError
from simcse_export.cli import main
from support.checkpoints import make_checkpoint, make_sentence_transformers


@pytest.mark.parametrize(
    ("name", "head", "pooler"),
    [
        ("my sup model", True, "cls"),
        ("unsup-model", True, "cls_before_pooler"),
        ("$without a 'head", False, "cls_before_pooler"),
        ("-dashes", True, "cls"),
        ("sentence-transformers", True, "avg"),
    ],
)
def test_it_works_as_it_stands(
    name: str, head: bool, pooler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "sentence-transformers":
        make_sentence_transformers(Path(name))
    else:
        make_checkpoint(Path(name), head=head)
    with pytest.raises(ArtifactNotFoundError, match="is a checkpoint, not an artifact") as caught:
        Encoder(name)
    program, *arguments = shlex.split(str(caught.value).splitlines()[-1])
    assert program == "simcse-export"
    assert main(arguments) == 0
    assert Manifest.read(Path(f"{name}-artifact")).pooler == pooler


def test_the_output_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_checkpoint(tmp_path / "model")
    monkeypatch.chdir(tmp_path / "model")
    assert export_command(".") == "simcse-export . -o model-artifact --pooler cls"
    Path("model-artifact").mkdir()
    assert export_command(".") == "simcse-export . -o model-artifact2 --pooler cls"
