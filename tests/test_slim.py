"""The slim proof: the wheel with `[cpu]`, alone in a fresh environment, encodes; nothing heavy is there."""

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from build_kernels.compilers import find_compiler
from build_kernels.platforms import PLATFORMS, native
from simcse_engine import Encoder
from support.wheels import ROOT, Environment, build_wheel, native_library

HEAVY = {"torch", "transformers", "optimum", "optimum-onnx", "onnx", "safetensors", "scipy", "pandas", "scikit-learn"}
TEXTS = ["A man plays a guitar.", "", "一个男人在弹吉他。"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def environment(wheel: Path, artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel with [cpu]; on the way there, without a runtime, the error that says what to install."""
    made = Environment(tmp_path_factory.mktemp("slim") / "venv")
    made.install(str(wheel))
    refused = made.run("simcse-engine", "similarity", artifact, "a", "b", ok=False)
    assert "onnxruntime is not installed; pip install 'simcse-engine[cpu]'" in refused.stderr
    made.install(f"{wheel}[cpu]")
    return made


def test_nothing_but_the_runtime_and_what_it_brings(
    environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    packages = environment.packages()
    assert not HEAVY & set(packages)
    assert {"simcse-engine", "onnxruntime", "numpy", "tokenizers"} <= set(packages)

    reached = {"simcse-engine", "onnxruntime"}
    while True:
        asked = {
            _NAME.match(requirement)[0].lower().replace("_", "-")
            for name in reached
            for requirement in packages[name]["requires"]
            if "extra ==" not in requirement
        }
        larger = reached | (asked & set(packages))
        if larger == reached:
            break
        reached = larger
    assert set(packages) == reached, "something is here that none of ours asked for"

    sizes = {name: facts["size"] for name, facts in packages.items()}
    assert sizes["simcse-engine"] < 4_700_000  # with the native library
    assert sum(sizes.values()) < 270_000_000
    with capsys.disabled():
        listed = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in sorted(sizes.items(), key=lambda s: -s[1]))
        print(f"\nslim environment: {sum(sizes.values()) / 1e6:.0f} MB ({listed})")


@pytest.mark.parametrize("name", PLATFORMS)
def test_the_wheel_of_every_platform_is_small(name: str, tmp_path: Path) -> None:
    if find_compiler(PLATFORMS[name]) is None:
        pytest.skip(f"no compiler for {name}")
    wheel = build_wheel(tmp_path, name)
    library = native_library(wheel)
    assert library is not None
    assert library[0] == f"simcse_engine/kernels/{PLATFORMS[name].library}"
    assert library[1] <= 560_000
    assert wheel.stat().st_size <= 1_500_000
    assert "-py3-none-" in wheel.name


def test_without_the_native_library_the_wheel_is_for_every_platform(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path, "0")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert native_library(wheel) is None


def test_the_wheel_has_the_page_that_serve_shows(wheel: Path) -> None:
    page = ROOT / "engine/simcse_engine/serve/page"
    with zipfile.ZipFile(wheel) as files:
        packaged = {Path(name).name for name in files.namelist() if name.startswith("simcse_engine/serve/page/")}
    assert packaged == {path.name for path in page.iterdir()}
    assert "index.html" in packaged


def test_the_native_library_is_there(environment: Environment) -> None:
    platform = native()
    if platform is None or find_compiler(platform) is None:
        pytest.skip("no native library for this machine")
    assert set(environment.variants()) <= {variant.name for variant in platform.variants}


def test_it_encodes_as_here(environment: Environment, artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    environment.run("simcse-engine", "encode", artifact, tmp_path / "texts.txt", "-o", tmp_path / "vectors.npy")
    with Encoder(artifact) as encoder:
        np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), encoder.encode(TEXTS), atol=1e-6)


def test_the_commands_work(environment: Environment, artifact: Path) -> None:
    assert json.loads(environment.run("simcse-engine", "verify", artifact, "--json").stdout)["passed"] is True
    assert float(environment.run("simcse-engine", "similarity", artifact, "a", "a").stdout) == pytest.approx(1)
    assert json.loads(environment.run("simcse-engine", "info", artifact, "--json").stdout)["pooler"] == "cls"
    assert json.loads(environment.run("simcse-engine", "doctor", "--json").stdout)
    assert "simcse-engine[export" in environment.run("simcse-export", "x", "-o", "y", ok=False).stderr


def test_two_runtimes_are_refused(environment: Environment, artifact: Path) -> None:
    """The second build's own record is enough: its files would be the same package's."""
    site = Path(environment.run("python", "-c", "import onnxruntime; print(onnxruntime.__path__[0])").stdout.strip())
    record = site.parent / "onnxruntime_gpu-1.0.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.0.0\n")
    try:
        refused = environment.run("simcse-engine", "similarity", artifact, "a", "b", ok=False)
        assert "onnxruntime and onnxruntime-gpu are installed together" in refused.stderr
        assert "onnxruntime-gpu" in environment.run("simcse-engine", "doctor", ok=False).stdout
    finally:
        (record / "METADATA").unlink()
        record.rmdir()
