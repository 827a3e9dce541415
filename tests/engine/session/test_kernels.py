"""Which kernels run a graph: by the graph, the library, the CPU, and SIMCSE_KERNELS."""

import dataclasses
import importlib.machinery
import importlib.util
import re
import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
from onnx import helper

from simcse_engine import Encoder, KernelsWarning, Manifest
from simcse_engine.artifact.manifest import GRAPH
from simcse_engine.errors import InputValueError, IntegrityError, ProviderError
from simcse_engine.machine.kernels import LIBRARY, UNTRIED, VARIABLE, VARIANTS, KernelLibrary, load_library
from simcse_engine.session import kernels
from simcse_engine.session.kernels import NO_KERNELS, Kernels, kernels_for, without_kernels
from support.ways import variants


def import_operators(folder: Path, *versions: int) -> Path:
    """Let the artifact's graph import our operators in just these versions."""
    model = onnx.load(str(folder / GRAPH), load_external_data=False)
    others = [each for each in model.opset_import if each.domain != "simcse"]
    del model.opset_import[:]
    model.opset_import.extend([*others, *(helper.make_opsetid("simcse", version) for version in versions)])
    onnx.save(model, str(folder / GRAPH))
    manifest = Manifest.read(folder)
    dataclasses.replace(manifest, files=Manifest.files_in(folder)).write(folder)
    return folder


@pytest.fixture
def ours(artifact_copy: Path) -> Path:
    """An artifact whose graph imports our operators."""
    return import_operators(artifact_copy, 1)


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def stand_in(monkeypatch: pytest.MonkeyPatch, *variants: str, features: tuple[str, ...] = ("avx2",)) -> None:
    """A library on another machine, with other variants; none where the library is absent there."""
    library = SimpleNamespace(variants=variants) if variants else "they are not there"
    monkeypatch.setattr(kernels, "load_library", lambda: library)
    monkeypatch.setattr(kernels, "features", lambda: list(features))


def test_the_best_that_was_tried_runs(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "amx", "avx512vnni", "avx2")
    assert kernels_for(ours, "cpu") == Kernels(variant="amx")
    monkeypatch.setattr("simcse_engine.machine.kernels.UNTRIED", {"amx"})
    assert kernels_for(ours, "cpu") == Kernels(variant="avx512vnni")


@pytest.mark.parametrize("wanted", ["amx", "avx512vnni", "avx2"])
def test_a_variant_that_is_named_runs(ours: Path, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    stand_in(monkeypatch, "amx", "avx512vnni", "avx2")
    monkeypatch.setenv(VARIABLE, wanted)
    assert kernels_for(ours, "cpu") == Kernels(variant=wanted)


def test_none_is_heeded_and_no_fault(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "avx2")
    monkeypatch.setenv(VARIABLE, "none")
    assert kernels_for(ours, "cpu") == Kernels(reason="SIMCSE_KERNELS is none")
    stand_in(monkeypatch)
    assert kernels_for(ours, "cpu") == Kernels(reason="SIMCSE_KERNELS is none")
    # Nothing of a library in doubt is loaded.
    monkeypatch.setattr(kernels, "load_library", None)
    assert kernels_for(ours, "cpu") == Kernels(reason="SIMCSE_KERNELS is none")


def test_an_empty_value_is_none_at_all(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "avx2")
    monkeypatch.setenv(VARIABLE, "")
    assert kernels_for(ours, "cpu").variant == "avx2"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("foo", "SIMCSE_KERNELS=foo: there are no such kernels; possible here: avx512vnni, avx2, none"),
        ("AVX2", "SIMCSE_KERNELS=AVX2: there are no such kernels; possible here: avx512vnni, avx2, none"),
        ("avx2,none", "SIMCSE_KERNELS=avx2,none: there are no such kernels; possible here"),
        ("amx", "SIMCSE_KERNELS=amx: this CPU cannot run them; possible here: avx512vnni, avx2, none"),
        ("i8mm", "SIMCSE_KERNELS=i8mm: this CPU cannot run them; possible here: avx512vnni, avx2, none"),
    ],
)
def test_a_value_that_cannot_be_heeded(
    artifact: Path, ours: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, message: str
) -> None:
    stand_in(monkeypatch, "avx512vnni", "avx2")
    monkeypatch.setenv(VARIABLE, wanted)
    for folder in (artifact, ours):
        with pytest.raises(InputValueError, match=re.escape(message)):
            kernels_for(folder, "cpu")
    assert kernels_for(ours, "cuda:1") == NO_KERNELS


def test_a_variant_where_there_is_no_library(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    monkeypatch.setenv(VARIABLE, "avx2")
    with pytest.raises(InputValueError, match="SIMCSE_KERNELS=avx2: they are not there; possible here: none"):
        Encoder(ours)


def test_without_a_library(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU that could do better a warning says why, once an encoder is open; on others `info` does alone."""
    stand_in(monkeypatch)
    chosen = kernels_for(ours, "cpu")
    assert (chosen.variant, chosen.avoidable) == (None, True)
    assert "they are not there; pip install --force-reinstall" in chosen.reason
    with pytest.warns(KernelsWarning, match="runs without our kernels, more slowly than this CPU could: they are"):
        Encoder(ours).close()
    for features in ((), ("neon", "sve"), ("avx512",)):
        stand_in(monkeypatch, features=features)
        assert kernels_for(ours, "cpu") == Kernels(reason="there are none for this CPU")


def test_a_cpu_that_is_too_old(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "load_library", lambda: SimpleNamespace(variants=()))
    assert kernels_for(ours, "cpu") == Kernels(reason="there are none for this CPU")


def test_variants_that_no_cpu_has_tried(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    untried = [name for name in VARIANTS if name in UNTRIED][:2]
    if not untried:
        pytest.skip("all were tried")
    stand_in(monkeypatch, *untried)
    chosen = kernels_for(ours, "cpu")
    assert (chosen.variant, chosen.avoidable) == (None, False)
    assert f"not tried on one yet; SIMCSE_KERNELS={' or '.join(untried)} runs them" in chosen.reason
    monkeypatch.setenv(VARIABLE, untried[-1])
    assert kernels_for(ours, "cpu") == Kernels(variant=untried[-1])


def test_graphs_that_no_kernels_run(artifact_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "avx2")
    chosen = kernels_for(import_operators(artifact_copy), "cpu")
    assert chosen == Kernels(reason="its graph is not written in operators that they run")
    chosen = kernels_for(import_operators(artifact_copy, 3), "cpu")
    assert chosen == Kernels(reason="its graph is written for newer ones; upgrade simcse-engine", avoidable=True)
    with pytest.raises(IntegrityError, match=r"model.onnx: is no ONNX graph \(it imports our operators twice\)"):
        kernels_for(import_operators(artifact_copy, 1, 1), "cpu")
    (artifact_copy / GRAPH).unlink()
    with pytest.raises(Exception, match=r"model.onnx: cannot be read"):
        kernels_for(artifact_copy, "cpu")


def test_without_kernels_for_a_while(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "avx2")
    with without_kernels():
        assert kernels_for(ours, "cpu") == Kernels(reason="it was opened without them")
    assert kernels_for(ours, "cpu").variant == "avx2"


def test_a_library_that_is_not_there(tmp_path: Path) -> None:
    assert "was built without" in str(load_library(tmp_path / "nothing.so"))
    assert "was built without" in str(load_library(tmp_path))


@pytest.mark.parametrize("content", [b"", b"no library", b"\x7fELF" + bytes(200)])
def test_a_library_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "library.so").write_bytes(content)
    assert str(load_library(tmp_path / "library.so")).startswith("they cannot be loaded (")


def test_a_library_of_something_else(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("_ctypes")
    if spec is None or not isinstance(spec.loader, importlib.machinery.ExtensionFileLoader):
        pytest.skip("this Python has no extension to take for a library")
    found = load_library(Path(shutil.copy(spec.loader.path, tmp_path / "other.so")))
    assert "RegisterCustomOps" in str(found)


@pytest.mark.skipif(not variants(), reason="no kernels run here")
def test_a_library_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simcse_engine.machine.kernels._INTERFACE", 0)
    copy = Path(shutil.copy(LIBRARY, tmp_path / "library.so"))
    assert load_library(copy) == "they cannot be loaded (it was built for another version of this package)"


def test_a_library_that_the_runtime_refuses() -> None:
    class Refused(KernelLibrary):
        def __init__(self, answer: int) -> None:
            self.path, self._select = Path("library.so"), lambda _: answer

    class Settings:
        def register_custom_ops_library(self, path: str) -> None:
            raise RuntimeError(f"{path}: no")

    for answer, words in (
        (-1, "refuses the kernels avx2"),
        (0, "onnxruntime takes no kernels from it (library.so: no)"),
    ):
        with pytest.raises(ProviderError, match=re.escape(words) + ".*; SIMCSE_KERNELS=none runs without any"):
            Refused(answer).register("avx2", Settings())  # type: ignore[arg-type]


@pytest.mark.skipif(not variants(), reason="no kernels run here")
def test_a_graph_that_the_kernels_refuse(artifact_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights are not of the shapes that its operators take: an error, and no crash."""
    model = onnx.load(str(artifact_copy / GRAPH), load_external_data=False)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "heads":
                attribute.i = 5
    onnx.save(model, str(artifact_copy / GRAPH))
    manifest = Manifest.read(artifact_copy)
    dataclasses.replace(manifest, files=Manifest.files_in(artifact_copy)).write(artifact_copy)
    monkeypatch.setenv(VARIABLE, variants()[0])
    with pytest.raises(IntegrityError, match=r"cannot open it: .*; SIMCSE_KERNELS=none opens it without our kernels"):
        Encoder(artifact_copy)


def test_no_warning_where_nothing_is_lost(artifact_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = import_operators(artifact_copy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stand_in(monkeypatch)
        Encoder(plain).close()
        monkeypatch.setenv(VARIABLE, "none")
        Encoder(import_operators(artifact_copy, 1)).close()
