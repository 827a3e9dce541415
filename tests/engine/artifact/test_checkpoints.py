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
    assert export_command(".", Path()) == "simcse-export . -o model-artifact --pooler cls"
    Path("model-artifact").mkdir()
    assert export_command(".", Path()) == "simcse-export . -o model-artifact2 --pooler cls"


def test_a_pooler_is_told_of_names_of_simcse_alone_where_no_file_can_be_seen() -> None:
    assert export_command("princeton-nlp/sup-SimCSE-x").endswith(" -o sup-SimCSE-x-artifact --pooler cls")
    assert export_command("princeton-nlp/unsup-simcse-x").endswith(" --pooler cls_before_pooler")
    # Its own files state another.
    assert export_command("sentence-transformers/all-MiniLM-L6-v2").endswith(" -o all-MiniLM-L6-v2-artifact")
