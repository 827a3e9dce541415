"""Only an artifact, or nothing, may be replaced by an artifact."""

from pathlib import Path

import pytest

from simcse_engine.artifact.manifest import GRAPH
from simcse_engine.artifact.output import check_output
from simcse_engine.errors import OutputError


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_there(tmp_path: Path, force: bool) -> None:
    check_output(tmp_path, force=force)
    check_output(tmp_path / "new", force=force)


def test_an_artifact_is_replaced_by_force_only(artifact_copy: Path) -> None:
    check_output(artifact_copy, force=True)
    (artifact_copy / "engine-90.onnx").touch()
    check_output(artifact_copy, force=True)
    (artifact_copy / "config.json").touch()
    check_output(artifact_copy, force=True)
    with pytest.raises(OutputError, match="exists already; choose another name, or replace it with force=True"):
        check_output(artifact_copy, force=False)


@pytest.mark.parametrize("force", [False, True])
def test_a_file_is_never_replaced(tmp_path: Path, force: bool) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="exists and is not a folder"):
        check_output(tmp_path / "file", force=force)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["config.json", "pytorch_model.bin"], "config.json lies in it"),
        ([GRAPH, "thesis.tex"], "thesis.tex lies in it"),
        # A checkpoint that another program exported beside its own files.
        ([GRAPH, "config.json", "tokenizer.json"], "config.json lies in it"),
        (["manifest.json"], f"no {GRAPH} in it"),
    ],
)
def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path, names: list[str], reason: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(OutputError, match=rf"is a folder of other things \({reason}\)"):
        check_output(tmp_path, force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
