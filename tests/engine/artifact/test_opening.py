"""Whatever is wrong with the files of an artifact shows when it is opened."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from simcse_engine import Encoder, Manifest
from simcse_engine.artifact.manifest import CHECK, GRAPH, TOKENIZER, WEIGHTS
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.errors import ArtifactError, ArtifactNotFoundError, IntegrityError

FILES = [CHECK, GRAPH, WEIGHTS, TOKENIZER]


def test_through_links(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(artifact)
    assert open_artifact(tmp_path / "link") == open_artifact(artifact)


@pytest.mark.parametrize("name", FILES)
def test_missing_file(artifact_copy: Path, name: str) -> None:
    (artifact_copy / name).unlink()
    with pytest.raises(IntegrityError, match=rf"/{name}: missing; copy or fetch the whole artifact"):
        Encoder(artifact_copy)


@pytest.mark.parametrize("name", FILES)
def test_directory_for_a_file(artifact_copy: Path, name: str) -> None:
    (artifact_copy / name).unlink()
    (artifact_copy / name).mkdir()
    with pytest.raises(IntegrityError, match=rf"/{name}: missing"):
        Encoder(artifact_copy)


@pytest.mark.parametrize("name", FILES)
def test_link_to_itself_for_a_file(artifact_copy: Path, name: str) -> None:
    (artifact_copy / name).unlink()
    (artifact_copy / name).symlink_to(name)
    with pytest.raises(IntegrityError, match=rf"/{name}: missing"):
        Encoder(artifact_copy)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: c[: len(c) // 2], lambda c: c[:0], lambda c: c + b"\n"])
def test_file_of_another_size(artifact_copy: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    content = (artifact_copy / name).read_bytes()
    (artifact_copy / name).write_bytes(change(content))
    sizes = f"{len(change(content))} bytes, the manifest says {len(content)}"
    with pytest.raises(IntegrityError, match=rf"/{name}: {sizes}; copy it again"):
        Encoder(artifact_copy)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_file_with_a_flipped_bit(artifact_copy: Path, name: str, place: float) -> None:
    content = bytearray((artifact_copy / name).read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    (artifact_copy / name).write_bytes(content)
    with pytest.raises(IntegrityError, match=rf"/{name}: altered since export"):
        Encoder(artifact_copy)


def test_name_that_the_system_refuses(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        Encoder(tmp_path / ("x" * 5000))
    with pytest.raises(ArtifactError, match="cannot be read"):
        Encoder("x" * 5000)
    with pytest.raises(ArtifactNotFoundError):
        Encoder("nul\0byte")


@pytest.mark.parametrize("name", FILES)
def test_link_to_another_content(artifact_copy: Path, tmp_path: Path, name: str) -> None:
    content = (artifact_copy / name).read_bytes()
    (tmp_path / "foreign").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (artifact_copy / name).unlink()
    (artifact_copy / name).symlink_to(tmp_path / "foreign")
    with pytest.raises(IntegrityError, match=rf"/{name}: altered since export"):
        Encoder(artifact_copy)


def test_graph_that_is_none(artifact_copy: Path) -> None:
    (artifact_copy / GRAPH).write_bytes(b"no graph")
    _describe_again(artifact_copy)
    with pytest.raises(IntegrityError, match=r"model.onnx: is no ONNX graph \(.*\); export again"):
        Encoder(artifact_copy)


def test_graph_that_the_runtime_cannot_read(artifact_copy: Path) -> None:
    (artifact_copy / GRAPH).write_bytes(b"\x3a\x00")  # an empty one
    _describe_again(artifact_copy)
    with pytest.raises(IntegrityError, match=r"model.onnx: onnxruntime .* cannot open it"):
        Encoder(artifact_copy)


def test_tokenizer_that_tokenizers_cannot_read(artifact_copy: Path) -> None:
    (artifact_copy / TOKENIZER).write_text("{}")
    _describe_again(artifact_copy)
    with pytest.raises(IntegrityError, match=r"tokenizer.json: tokenizers .* cannot read it"):
        Encoder(artifact_copy)


def test_dimension_that_the_graph_does_not_have(artifact_copy: Path) -> None:
    dataclasses.replace(open_artifact(artifact_copy), dimension=64).write(artifact_copy)
    with pytest.raises(IntegrityError, match="the graph gives 32 floats per vector, the manifest says 64"):
        Encoder(artifact_copy)


def _describe_again(folder: Path) -> None:
    manifest = Manifest.read(folder)
    facts = {f.name: getattr(manifest, f.name) for f in dataclasses.fields(manifest) if f.name != "files"}
    Manifest.describe(folder, **facts).write(folder)
