"""Without optimum, or beside a transformers that it does not go with, the models that need it are refused."""

from pathlib import Path

import pytest

from simcse_engine.errors import RuntimeMissingError
from simcse_export import ExportOptions, export
from support.checkpoints import make_checkpoint
from support.child import run_script
from support.environments import overlay
from support.releases import HAS_OPTIMUM, NEWEST, beside

EXTRA = r"pip install 'simcse-engine\[export-optimum\]'"


@pytest.mark.skipif(HAS_OPTIMUM, reason="optimum is here")
def test_the_error_names_the_model_type_and_the_extra(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="electra")
    with pytest.raises(RuntimeMissingError, match=f"model type electra: .*optimum-onnx.* is not installed; {EXTRA}"):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))
    assert not (tmp_path / "artifact").exists()


@pytest.mark.skipif(HAS_OPTIMUM, reason="optimum is here")
def test_the_manifest_names_no_optimum(artifact: Path) -> None:
    assert "optimum" not in (artifact / "manifest.json").read_text(encoding="utf-8")


def test_a_transformers_that_is_too_new(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="electra")
    script = """
        import sys
        from simcse_engine.errors import RuntimeMissingError
        from simcse_export import ExportOptions, export
        try:
            export(*sys.argv[1:], ExportOptions(pooler="avg"))
        except RuntimeMissingError as error:
            print(error)
    """
    path = f"{overlay('optimum==2.1.0', 'optimum-onnx==0.1.0')}:{beside(NEWEST)}"
    said = run_script(script, checkpoint, tmp_path / "artifact", PYTHONPATH=path, seconds=300)
    assert "model type electra" in said
    assert f"needs transformers<4.58.0,>=4.36, and {NEWEST} is installed; pip install 'simcse-engine[export-op" in said
