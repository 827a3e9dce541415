"""Manifests that somebody altered and sealed again: each odd value is named, and none reaches further."""

import copy
import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simcse_engine import Encoder, Manifest
from simcse_engine.artifact.manifest import GRAPH, TOKENIZER, WEIGHTS
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.artifact.written import MANIFEST
from simcse_engine.cli.info import manifest_lines
from simcse_engine.errors import FormatVersionError, IntegrityError

PROFILE = {"min": [1, 1], "opt": [8, 32], "max": [64, 32]}
PLAN = {"graph": "engine-89.onnx", "file": "engine-89.onnx", "compute_capability": 89, "builder": "tensorrt 10"}
PLAN |= {"gpu": None, "profile": PROFILE}
ENTRY = {"sha256": "0" * 64, "size_bytes": 7}
COMPILED = {"target": "tensorrt", "layout": "grid", "max_batch": 64, "engines": {"89": PLAN}}
QUALITY = {"mean_cosine": 0.99, "min_cosine": 0.9, "sts": {"tasks": {"stsb": {"spearman": 80.0}}, "average": 80.0}}


def seal(folder: Path, content: dict[str, Any]) -> None:
    """Write a manifest with the digests that fit it, as far as what stands there has any."""
    content = {name: value for name, value in content.items() if name != "digest"}
    try:
        files = content["files"]
        sha256 = {name: files[name]["sha256"] for name in (GRAPH, WEIGHTS, TOKENIZER)}
        facts = {name: content[name] for name in ("pooler", "normalized", "max_tokens")}
        facts["tokenizer"] = sha256[TOKENIZER]
        graph = {"graph": sha256[GRAPH], "weights": sha256[WEIGHTS], "precision": content["precision"]}
        content["identity"] = digest({**graph, **facts})
        content["model"] = digest({"checkpoint": content["source"]["digest"], **facts})
    except (KeyError, TypeError):
        pass
    (folder / MANIFEST).write_text(json.dumps({**content, "digest": digest(content)}))


def digest(content: object) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def content_of(folder: Path, **changes: Any) -> dict[str, Any]:
    content = {**json.loads((folder / MANIFEST).read_bytes()), **copy.deepcopy(changes)}
    for plan in content["engines"].values():
        content["files"] |= {plan[part]: dict(ENTRY) for part in ("graph", "file")}
    return content


def put(content: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The content with another value at ``path``, such as "engines/89/gpu"."""
    *parents, last = path.split("/")
    inner: Any = content
    for name in parents:
        inner = inner[name]
    inner[last] = value
    return content


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("pooler", "evil", "pooler is 'evil', expected one of cls, cls_before_pooler, avg, avg_top2, avg_first_last"),
        ("precision", "fp64", "precision is 'fp64', expected one of fp32, fp16, bf16, int8"),
        ("precision", ["fp32"], r"precision is \['fp32'\], expected one of"),
        ("target", "tpu", "target is 'tpu', expected one of cpu, cuda, tensorrt, tensorrt-rtx"),
        ("target", "cuda", "layout for cuda is 'ragged', expected one of packed"),
        ("layout", "grid", "layout for cpu is 'grid', expected one of ragged, even, packed"),
        ("dimension", 0, "dimension is 0, expected a whole number from 1 to 1000000"),
        ("dimension", 10**400, r"dimension is 10+\.\.\.0+, expected a whole number"),
        ("dimension", True, "dimension is True, expected a whole number"),
        ("max_tokens", -1, "max_tokens is -1, expected a whole number"),
        ("max_tokens", 2**70, "max_tokens is 1180591620717411303424, expected a whole number"),
        ("max_tokens", math.nan, "max_tokens is nan, expected a whole number"),
        ("max_tokens_source", 5, "max_tokens_source is 5, expected text"),
        ("max_batch", -1, "max_batch is -1, expected a whole number"),
        ("max_batch", 64, "max_batch is 64 for cpu, expected null"),
        ("padding_id", -1, "padding_id is -1, expected a whole number from 0"),
        ("normalized", "yes", "normalized is 'yes', expected true or false"),
        ("verified", 1, "verified is 1, expected true or false"),
        ("versions", {"torch": 2}, "versions.'torch' is 2, expected text"),
        ("versions", {"\ud800": "1"}, r"a name in versions is '\\ud800', expected text"),
        ("source/id", "\ud800", r"source.id is '\\ud800', expected text"),
        ("source/revision", 1, "source.revision is 1, expected text"),
        ("source/digest", "0", "source.digest is '0', expected 64 hexadecimal digits"),
        ("source/url", "x", "source has a field 'url', expected id, revision, digest alone"),
        ("architecture", {"layers": math.inf}, "architecture.'layers' is inf, expected text, finite numbers"),
        ("architecture", {"x": [[["\udfff"]]]}, "architecture.'x' is .*, expected text, finite numbers"),
        ("parity", {"min_cosine": "1"}, "parity.'min_cosine' is '1', expected a finite number"),
        ("parity", {"min_cosine": math.nan}, "parity.'min_cosine' is nan, expected a finite number"),
        ("quality", {"mean_cosine": "1", "min_cosine": 1}, "quality.mean_cosine is '1', expected a finite number"),
        ("quality", {"mean_cosine": 1.0}, "quality.min_cosine is missing"),
        ("quality", {"sts": {}}, "quality.sts.tasks is missing"),
        ("quality", {"sts": {"tasks": [], "average": 1}}, r"quality.sts.tasks is \[\], expected an object"),
        ("quality", {"sts_fp32": 3}, "quality.sts_fp32 is 3, expected an object"),
        ("files/model.onnx/sha256", "Z" * 64, "files.'model.onnx'.sha256 is 'ZZZ.*, expected 64 hexadecimal digits"),
        ("files/model.onnx/size_bytes", -1, "files.'model.onnx'.size_bytes is -1, expected a whole number from 0"),
        ("files/model.onnx/size_bytes", 2**63, "files.'model.onnx'.size_bytes is .*, expected a whole number from 0"),
        ("files/model.onnx/size_bytes", 1e3, "files.'model.onnx'.size_bytes is 1000.0, expected a whole number"),
        ("engines", {"89": PLAN}, "engines is not empty for cpu, which has none"),
    ],
)
def test_odd_value(artifact_copy: Path, path: str, value: Any, says: str) -> None:
    seal(artifact_copy, put(content_of(artifact_copy), path, value))
    for opening in (Manifest.read, Encoder):
        with pytest.raises(IntegrityError, match=f"manifest.json: {says}.*; export again"):
            opening(artifact_copy)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("include_prompt", False, "include_prompt is false for a grid graph for tensorrt, expected true"),
        ("max_batch", None, "max_batch is None for tensorrt, expected a whole number"),
        ("engines", {"x": PLAN}, "a name in engines is 'x', expected a compute capability"),
        ("engines", {"90": PLAN}, "engines.90.compute_capability is 89, expected 90"),
        ("engines/89/graph", "../x", "engines.'89'.graph is '../x', expected a plain file name"),
        ("engines/89/file", "gone", "files.'gone' is missing"),
        ("engines/89/gpu", 1, "engines.'89'.gpu is 1, expected text"),
        ("engines/89/profile", {"min": [1, 1]}, "engines.'89'.profile.opt is missing"),
        ("engines/89/profile/max", [64], r"engines.'89'.profile.max is \[64\], expected \[sentences, tokens\]"),
        ("engines/89/profile/max", [64, True], "engines.'89'.profile.max is .*, expected "),
        ("engines/89/profile/max", [4, 32], "engines.89.profile is not in order, expected min <= opt <= max"),
    ],
)
def test_odd_value_of_a_compiled_artifact(artifact_copy: Path, path: str, value: Any, says: str) -> None:
    content = content_of(artifact_copy, **COMPILED)
    seal(artifact_copy, content)
    assert Manifest.read(artifact_copy).engines["89"].profile == PROFILE
    seal(artifact_copy, put(content, path, value))
    with pytest.raises(IntegrityError, match=f"manifest.json: {says}.*; export again"):
        Manifest.read(artifact_copy)


def test_any_finite_number_of_an_architecture_is_taken(artifact_copy: Path) -> None:
    numbers = {"mask": -3.4028234663852886e38, "most": 10**300, "least": 5e-324}
    seal(artifact_copy, content_of(artifact_copy, architecture=numbers))
    assert Manifest.read(artifact_copy).architecture == numbers


def test_what_a_newer_export_adds_is_left_alone(artifact_copy: Path) -> None:
    seal(artifact_copy, {**content_of(artifact_copy), "made_on": {"a": [1]}})
    assert open_artifact(artifact_copy).dimension == 32


def paths(content: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a manifest."""
    if prefix:
        yield prefix
    for name in content if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ():
        yield from paths(content[name], (*prefix, name))


ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**32, 2**63, 2**64, 10**30, 10**4000, 1, 2, 3, 5, 31, 33, 512])
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(
        ["\ud800", "", "../x", "\x1b[2J", "cls", "avg", "even", "packed", "cuda", "0" * 64, "manifest.json"]
    )
    | st.lists(st.integers() | st.text(max_size=2), max_size=3)
    | st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text(max_size=2), max_size=2)
)
SAYS_SO = (IntegrityError, FormatVersionError)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_any_value_may_be_odd(artifact: Path, artifact_copy: Path, data: st.DataObject) -> None:
    changes = data.draw(st.sampled_from([{}, {"quality": QUALITY}, COMPILED]))
    content = content_of(artifact, **changes)
    *parents, last = data.draw(st.sampled_from(list(paths(content))))
    inner = content
    for name in parents:
        inner = inner[name]
    if isinstance(inner, dict) and data.draw(st.booleans()) and data.draw(st.booleans()):
        inner[data.draw(st.text(st.characters(), max_size=5))] = inner.pop(last)
    else:
        inner[last] = data.draw(ODD)
    seal(artifact_copy, content)
    try:
        manifest = Manifest.read(artifact_copy)
    except SAYS_SO as error:
        str(error).encode()
        return
    manifest_lines(artifact_copy, manifest)
    try:
        with Encoder(artifact_copy, device="cpu", truncate="silent") as encoder:
            encoder.encode(["the man plays guitar " * 100])
    except SAYS_SO as error:
        str(error).encode()


def altered(folder: Path, **changes: Any) -> Path:
    dataclasses.replace(Manifest.read(folder), **changes).write(folder)
    return folder


def test_more_tokens_than_the_graph_has_positions(artifact_copy: Path) -> None:
    with Encoder(altered(artifact_copy, max_tokens=65), truncate="silent") as encoder:
        assert encoder.encode(["man"]).shape == (1, 32)
        with pytest.raises(
            IntegrityError, match=r"model.onnx: onnxruntime cannot run it on 1 sentences of up to 65 tok"
        ):
            encoder.encode(["man " * 100])


def test_fewer_tokens_than_the_tokenizer_adds(artifact_copy: Path) -> None:
    with pytest.raises(IntegrityError, match=r"copy: the manifest says max_tokens=2: this tokenizer needs at least 3"):
        Encoder(altered(artifact_copy, max_tokens=2))


def test_layout_of_other_inputs(artifact_copy: Path) -> None:
    says = (
        r"model.onnx: takes input_ids, lengths, and layout 'packed' of the manifest feeds cumulative_lengths, input_ids"
    )
    with pytest.raises(IntegrityError, match=says):
        Encoder(altered(artifact_copy, layout="packed"))


@pytest.mark.parametrize(("operator", "shape"), [("Squeeze", ["sentences"]), ("Unsqueeze", [None, 32, 1])])
def test_graph_that_gives_no_vectors(artifact_copy: Path, operator: str, shape: list[Any]) -> None:
    graph = onnx.load(artifact_copy / GRAPH, load_external_data=False)
    output = graph.graph.output[0]
    output.CopyFrom(onnx.helper.make_tensor_value_info(output.name, onnx.TensorProto.FLOAT, shape))
    graph.graph.initializer.append(onnx.helper.make_tensor("axis", onnx.TensorProto.INT64, [1], [len(shape) - 1]))
    graph.graph.node[-1].op_type = operator
    graph.graph.node[-1].input.append("axis")
    onnx.save_model(graph, artifact_copy / GRAPH)
    altered(artifact_copy, files=Manifest.files_in(artifact_copy))
    with pytest.raises(IntegrityError, match=r"model.onnx: (gives tensor\(float\) .*, expected|onnxruntime)"):
        Encoder(artifact_copy)
