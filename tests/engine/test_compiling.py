"""Compiling on the machine that will run it: all that comes before a GPU is needed."""

import ctypes
import json
from pathlib import Path
from typing import Any

import pytest

from simcse_engine import Manifest, compiling
from simcse_engine.cli.main import main
from simcse_engine.compiling import CompileOptions, compile_artifact
from simcse_engine.errors import CompileError, InputValueError, IntegrityError, OutputError, ProviderError
from simcse_engine.machine.nvidia import Gpu
from simcse_export import ExportOptions, export


@pytest.fixture(scope="module")
def uncompiled(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model for TensorRT, as export leaves it."""
    folder = tmp_path_factory.mktemp("artifact") / "tensorrt"
    export(checkpoint, folder, ExportOptions(pooler="cls", precision="fp16", target="tensorrt", max_tokens=32))
    return folder


@pytest.fixture
def _no_driver() -> None:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return
    pytest.skip("this machine has NVIDIA's driver")


@pytest.mark.usefixtures("_no_driver")
def test_without_a_gpu_nothing_is_left_behind(uncompiled: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(ProviderError, match="no NVIDIA driver here"):
        compile_artifact(uncompiled, tmp_path / "new", say=lines.append)
    assert lines == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_for_another_target_is_refused(artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(InputValueError, match=r"is for cpu, which runs it as it is; .*--target tensorrt"):
        compile_artifact(artifact, tmp_path / "new")


def test_a_cpu_is_no_device_to_compile_for() -> None:
    with pytest.raises(InputValueError, match="device='cpu': plans are compiled on and for a GPU"):
        CompileOptions(device="cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "tpu"])
def test_an_unknown_device_is_refused(uncompiled: Path, tmp_path: Path, device: str) -> None:
    with pytest.raises(ProviderError, match="is unknown"):
        compile_artifact(uncompiled, tmp_path / "new", CompileOptions(device=device))


def test_a_damaged_artifact_is_refused(uncompiled: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in uncompiled.iterdir():
        (copy / path.name).write_bytes(path.read_bytes() + (b" " if path.name == "tokenizer.json" else b""))
    with pytest.raises(IntegrityError, match=r"tokenizer\.json"):
        compile_artifact(copy, tmp_path / "new")


def test_what_lies_at_the_output_is_kept(uncompiled: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(OutputError, match="exists already"):
        compile_artifact(uncompiled, tmp_path)
    with pytest.raises(OutputError, match=r"mine\.txt lies in it"):
        compile_artifact(uncompiled, tmp_path, CompileOptions(force=True))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.usefixtures("_no_driver")
def test_timings_of_each_version_lie_apart(uncompiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Path] = []

    def compile_graph(*_: Any, timings: Path, **__: Any) -> None:
        assert timings.is_dir()
        used.append(timings)
        raise CompileError("no GPU here")

    monkeypatch.setattr(compiling, "gpu", lambda _: Gpu(name="NVIDIA H100", compute_capability=90))
    monkeypatch.setattr(compiling, "compile_graph", compile_graph)
    for version in ("10.13.3.9", "11.4.0.106"):
        monkeypatch.setattr(compiling, "builder", lambda target, version=version: f"{target} {version}")
        with pytest.raises(CompileError):
            compile_artifact(uncompiled, tmp_path / "new", CompileOptions(timings=tmp_path / "timings"))
    assert used == [tmp_path / "timings" / f"tensorrt-{version}" for version in ("10.13.3.9", "11.4.0.106")]
    assert not (tmp_path / "new").exists()


def test_on_the_command_line(uncompiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", str(uncompiled), "-o", str(tmp_path / "new")]) == 1
    assert "simcse-engine: error: no NVIDIA driver here" in capsys.readouterr().err
    assert main(["compile", str(uncompiled), "-o", str(tmp_path / "new"), "--device", "cpu"]) == 1
    assert "--device cpu: plans" in capsys.readouterr().err


def test_info_says_what_is_compiled(uncompiled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(uncompiled)]) == 0
    assert "none yet: simcse-engine compile; at most 64 sentences a run" in capsys.readouterr().out
    assert main(["info", str(uncompiled), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["engines"] == Manifest.read(uncompiled).engines == {}
