"""A manifest reads as it was written, and every later change to it shows."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from simcse_engine import Encoder, Manifest
from simcse_engine.artifact.manifest import CHECK, GRAPH, TOKENIZER, WEIGHTS
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.artifact.parts import FileEntry
from simcse_engine.artifact.written import FORMATS, MANIFEST
from simcse_engine.errors import ArtifactError, ArtifactNotFoundError, FormatVersionError, IntegrityError
from support.checkpoints import make_sentence_transformers

FILES = [CHECK, GRAPH, WEIGHTS, TOKENIZER]
FIELDS = [
    *("source", "architecture", "pooler", "normalized", "precision", "target", "dimension", "max_tokens"),
    *("max_batch", "layout", "padding_id", "files", "versions", "parity", "quality", "verified", "engines"),
    *("max_tokens_source", "prompts", "default_prompt_name", "include_prompt", "output_range"),
    *("identity", "model", "digest"),
]
# Those that format 3's first artifacts lack, and what is taken for them.
LATER = {
    "max_tokens_source": None,
    "prompts": {"query": "", "document": ""},
    "default_prompt_name": None,
    "include_prompt": True,
    "output_range": None,
}


def read_json(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    return content


def write_manifest(folder: Path, content: object) -> None:
    (folder / MANIFEST).write_text(json.dumps(content))


def sha256_of_json(content: object) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def stamp(content: dict[str, Any]) -> dict[str, Any]:
    """Give an edited manifest the digest that fits it, as an accident cannot."""
    rest = {name: value for name, value in content.items() if name != "digest"}
    return {**rest, "digest": sha256_of_json(rest)}


def test_round_trip(artifact_copy: Path) -> None:
    written = (artifact_copy / MANIFEST).read_bytes()
    manifest = open_artifact(artifact_copy)
    manifest.write(artifact_copy)
    assert (artifact_copy / MANIFEST).read_bytes() == written
    assert open_artifact(artifact_copy) == manifest


def test_describes_what_lies_in_the_folder(artifact_copy: Path) -> None:
    manifest = open_artifact(artifact_copy)
    facts = {f.name: getattr(manifest, f.name) for f in dataclasses.fields(manifest) if f.name != "files"}
    assert Manifest.describe(artifact_copy, **facts) == manifest
    assert sorted(manifest.files) == sorted(FILES)
    for name, entry in manifest.files.items():
        content = (artifact_copy / name).read_bytes()
        assert entry == FileEntry(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def test_states_format_and_every_field(artifact: Path) -> None:
    content = read_json(artifact)
    assert content["format"] == FORMATS[0]
    assert sorted(content) == sorted(["format", *FIELDS])
    assert content == stamp(content)


def test_other_files_in_the_folder_do_not_matter(artifact_copy: Path) -> None:
    (artifact_copy / "README.md").write_text("# My model\n")
    (artifact_copy / ".cache").mkdir()
    open_artifact(artifact_copy)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_manifest_with_a_flipped_bit(artifact_copy: Path, artifact: Path, data: st.DataObject) -> None:
    content = bytearray((artifact / MANIFEST).read_bytes())
    content[data.draw(st.integers(0, len(content) - 2))] ^= 1 << data.draw(st.integers(0, 7))
    (artifact_copy / MANIFEST).write_bytes(content)
    assume(b"1E-" not in content)  # is the same number as with a small e
    with pytest.raises(ArtifactError):
        open_artifact(artifact_copy)


@given(share=st.floats(0, 0.99))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_truncated_manifest(artifact_copy: Path, artifact: Path, share: float) -> None:
    content = (artifact / MANIFEST).read_bytes()
    (artifact_copy / MANIFEST).write_bytes(content[: int(share * len(content))])
    with pytest.raises(IntegrityError, match=r"manifest.json: is not JSON .*; export again"):
        open_artifact(artifact_copy)


@pytest.mark.parametrize("name", FIELDS)
def test_edited_field(artifact_copy: Path, name: str) -> None:
    content = read_json(artifact_copy)
    for value in ["0" * 64, 7, [], {}, "none" if content[name] is None else None, not content[name]]:
        if value == content[name]:
            continue
        write_manifest(artifact_copy, {**content, name: value})
        with pytest.raises(IntegrityError, match=r"manifest.json: was edited after export"):
            open_artifact(artifact_copy)


@pytest.mark.parametrize("name", FIELDS)
def test_removed_field(artifact_copy: Path, name: str) -> None:
    content = read_json(artifact_copy)
    del content[name]
    write_manifest(artifact_copy, content)
    with pytest.raises(IntegrityError, match="was edited after export"):
        open_artifact(artifact_copy)


@pytest.mark.parametrize("name", [f for f in FIELDS if f not in (*LATER, "digest")])
def test_removed_field_under_a_fitting_digest(artifact_copy: Path, name: str) -> None:
    content = read_json(artifact_copy)
    del content[name]
    write_manifest(artifact_copy, stamp(content))
    with pytest.raises(IntegrityError, match=f"manifest.json: {name} is missing; export again"):
        open_artifact(artifact_copy)


def test_older_manifests_lack_fields(artifact_copy: Path) -> None:
    content = read_json(artifact_copy)
    assert content.pop("max_tokens_source") == "as chosen"
    assert content.pop("output_range") > 0
    write_manifest(artifact_copy, stamp({name: value for name, value in content.items() if name not in LATER}))
    older = open_artifact(artifact_copy)
    assert {name: getattr(older, name) for name in LATER} == LATER


@pytest.mark.parametrize(
    "changes",
    [
        {"pooler": "max"},
        {"layout": "padded"},
        {"include_prompt": False},
        {"prompts": {"query": "q: ", "document": ""}},
    ],
)
def test_what_older_engines_do_not_know_has_the_later_format(artifact_copy: Path, changes: dict[str, Any]) -> None:
    earlier = open_artifact(artifact_copy)
    later = dataclasses.replace(earlier, **changes)
    assert (earlier.format, later.format) == FORMATS
    later.write(artifact_copy)
    assert open_artifact(artifact_copy) == later


def test_prompts_decide_the_identity(artifact_copy: Path) -> None:
    without = open_artifact(artifact_copy)
    empty = dataclasses.replace(without, prompts={"query": "", "document": ""})
    prompts = dataclasses.replace(without, prompts={"query": "q: ", "document": ""})
    by_default = dataclasses.replace(prompts, default_prompt_name="query")
    assert empty.identity == without.identity
    assert empty.model == without.model
    assert len({each.identity for each in (without, prompts, by_default)}) == 3
    assert len({each.model for each in (without, prompts, by_default)}) == 3


def test_a_source_of_max_tokens_that_is_no_text(artifact_copy: Path) -> None:
    write_manifest(artifact_copy, stamp({**read_json(artifact_copy), "max_tokens_source": 3}))
    with pytest.raises(IntegrityError, match=r"max_tokens_source is 3"):
        open_artifact(artifact_copy)


_OPTIONAL = ("parity", "quality", "verified", "max_tokens_source", "output_range")


@pytest.mark.parametrize("name", [f for f in FIELDS if f not in ("digest", *_OPTIONAL)])
def test_wrong_type_under_a_fitting_digest(artifact_copy: Path, name: str) -> None:
    content = read_json(artifact_copy)
    for value in [None, 1.5, [1], ["x"], {"x": 1}, "x"]:
        if type(value) is type(content[name]) and name not in ("source", "files", "identity", "model"):
            continue
        write_manifest(artifact_copy, stamp({**content, name: value}))
        with pytest.raises(IntegrityError, match=rf"manifest.json: {name}\b.*; export again"):
            open_artifact(artifact_copy)


@pytest.mark.parametrize(
    "change",
    [
        {"max_tokens": "32"},
        {"max_tokens": None},
        {"dimension": 32.0},
        {"normalized": 1},
        {"layout": None},
        {"layout": "spiral"},
        {"padding_id": "1"},
        {"padding_id": True},
        {"pooler": None},
        {"precision": 32},
        {"target": ["cpu"]},
        {"architecture": "bert"},
        {"versions": []},
    ],
)
def test_wrong_type_under_fitting_digests_and_identity(artifact_copy: Path, change: dict[str, Any]) -> None:
    dataclasses.replace(open_artifact(artifact_copy), **change).write(artifact_copy)
    with pytest.raises(IntegrityError, match=f"manifest.json: {next(iter(change))} is .*, expected "):
        Encoder(artifact_copy)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_the_manifest_does_not_know(artifact_copy: Path, name: str) -> None:
    content = read_json(artifact_copy)
    del content["files"][name]
    write_manifest(artifact_copy, stamp(content))
    with pytest.raises(IntegrityError, match=f"manifest.json: files.'{name}' is missing; export again"):
        open_artifact(artifact_copy)


@pytest.mark.parametrize(
    "name", ["../outside", "../../outside", "/etc/hostname", "sub/file", "./x", "..", ".", "", "\0"]
)
def test_path_for_a_file_name(artifact_copy: Path, name: str) -> None:
    manifest = open_artifact(artifact_copy)
    (artifact_copy / "sub").mkdir()
    for real in ("../outside", "../../outside", "sub/file", "x"):
        (artifact_copy / real).write_bytes(b"")
    files = {**manifest.files, name: FileEntry(sha256=hashlib.sha256(b"").hexdigest(), size_bytes=0)}
    dataclasses.replace(manifest, files=files).write(artifact_copy)
    with pytest.raises(IntegrityError, match=r"a name in files is .*, expected a plain file name"):
        open_artifact(artifact_copy)
    (artifact_copy / "../../outside").unlink()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON"),
        (b" \n", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\x00" * 100, "is not JSON"),
        (b"\xff\xfe\xff", "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
        (b'{"a":' * 200_000, "is not JSON"),
        (b'{"format": ' + b"1" * 5000 + b"}", "is not JSON"),
        (b"null", "states no format"),
        (b"[]", "states no format"),
        (b'"x"', "states no format"),
        (b"1", "states no format"),
        (b"{}", "states no format"),
        (b'{"format": null}', "states no format"),
        (b'{"format": "1"}', "states no format"),
        (b'{"format": 1.0}', "states no format"),
        (b'{"format": [1]}', "states no format"),
        (b'{"format": 3}', "was edited"),
        (b'{"format": 3, "x": "\\ud800"}', "was edited"),
        (b'{"format": 3, "x": NaN}', "was edited"),
    ],
)
def test_malformed_manifest(artifact_copy: Path, content: bytes, says: str) -> None:
    (artifact_copy / MANIFEST).write_bytes(content)
    with pytest.raises(IntegrityError, match=f"manifest.json: {says}.*export again"):
        open_artifact(artifact_copy)


def test_manifest_nested_to_the_very_limit(artifact_copy: Path) -> None:
    # Where reading it just succeeds, whatever is done with it afterwards recurses as deep.
    for depth in range(850, 1050):
        (artifact_copy / MANIFEST).write_text('{"format": 3, "x": ' + "[" * depth + "]" * depth + "}")
        with pytest.raises(IntegrityError):
            open_artifact(artifact_copy)


def test_newer_format(artifact_copy: Path) -> None:
    write_manifest(artifact_copy, {**read_json(artifact_copy), "format": FORMATS[-1] + 1})
    with pytest.raises(
        FormatVersionError, match=f"format {FORMATS[-1] + 1}, .* reads formats 3 to 4; upgrade simcse-engine"
    ):
        Encoder(artifact_copy)
    write_manifest(artifact_copy, {"format": 99, "what": "nobody knows yet"})
    with pytest.raises(FormatVersionError, match=r"format 99, .* upgrade simcse-engine"):
        Encoder(artifact_copy)


@pytest.mark.parametrize("number", [1, 0, -1])
def test_older_format(artifact_copy: Path, number: int) -> None:
    write_manifest(artifact_copy, {**read_json(artifact_copy), "format": number})
    with pytest.raises(FormatVersionError, match=f"format {number}, .* reads formats 3 to 4; export again"):
        Encoder(artifact_copy)


def test_a_checkpoint_is_told_from_an_artifact(checkpoint: Path, tmp_path: Path) -> None:
    hint = r"is a checkpoint, not an artifact; export it once, and open the result:\n  simcse-export"
    for opened in (Encoder, Manifest.read):
        with pytest.raises(ArtifactNotFoundError, match=hint):
            opened(checkpoint)
    folder = make_sentence_transformers(tmp_path / "st")
    (folder / "config.json").unlink()
    with pytest.raises(ArtifactNotFoundError, match=hint):
        Encoder(folder)


def test_no_artifact(artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFoundError, match=r"is no artifact$"):
        Encoder(tmp_path)
    with pytest.raises(ArtifactNotFoundError, match=r"nothing: does not exist; simcse-export"):
        Encoder(tmp_path / "nothing")
    with pytest.raises(ArtifactNotFoundError, match=r"model.onnx: is a file, not an artifact's folder"):
        Encoder(artifact / GRAPH)
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(ArtifactNotFoundError, match=r"no manifest.json"):
        Encoder(tmp_path)


def test_identity_and_model(artifact: Path) -> None:
    manifest = open_artifact(artifact)
    model = {
        "tokenizer": hashlib.sha256((artifact / TOKENIZER).read_bytes()).hexdigest(),
        "pooler": "cls",
        "normalized": True,
        "max_tokens": 32,
    }
    graph, weights = (hashlib.sha256((artifact / name).read_bytes()).hexdigest() for name in (GRAPH, WEIGHTS))
    assert manifest.identity == sha256_of_json({"graph": graph, "weights": weights, "precision": "fp32", **model})
    assert manifest.model == sha256_of_json({"checkpoint": manifest.source.digest, **model})
    content = read_json(artifact)
    assert (content["identity"], content["model"]) == (manifest.identity, manifest.model)


@pytest.mark.parametrize(
    ("change", "identity", "model"),
    [
        ({"pooler": "avg"}, True, True),
        ({"normalized": False}, True, True),
        ({"max_tokens": 31}, True, True),
        ({"files": TOKENIZER}, True, True),
        ({"files": GRAPH}, True, False),
        ({"files": WEIGHTS}, True, False),
        ({"precision": "int8"}, True, False),
        ({"source": {"digest": "0"}}, False, True),
        ({"source": {"id": "x", "revision": "y"}}, False, False),
        ({"files": CHECK}, False, False),
        ({"layout": "even"}, False, False),
        ({"architecture": {}}, False, False),
        ({"versions": {}}, False, False),
        ({"parity": None, "verified": None}, False, False),
    ],
)
def test_what_identity_and_model_depend_on(artifact: Path, change: dict[str, Any], identity: bool, model: bool) -> None:
    manifest = open_artifact(artifact)
    if "files" in change:
        change = {"files": {**manifest.files, change["files"]: FileEntry(sha256="0" * 64, size_bytes=1)}}
    if "source" in change:
        change = {"source": dataclasses.replace(manifest.source, **change["source"])}
    changed = dataclasses.replace(manifest, **change)
    assert (changed.identity != manifest.identity, changed.model != manifest.model) == (identity, model)


def test_moved_and_copied(artifact: Path, tmp_path: Path) -> None:
    shutil.copytree(artifact, tmp_path / "elsewhere")
    assert open_artifact(tmp_path / "elsewhere").identity == open_artifact(artifact).identity
