"""An artifact that makes the runtime read another file is refused, on every release of the runtime."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import simcse_engine
from simcse_engine import Encoder, Manifest
from simcse_engine.artifact.manifest import GRAPH, WEIGHTS
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.artifact.parts import Plan
from simcse_engine.errors import IntegrityError
from support.child import run_script
from support.environments import overlay

SECRET = b"root:x:0:0:root:"
ENGINE = str(Path(simcse_engine.__file__).parents[1])


def describe_again(folder: Path, **changes: object) -> None:
    """Give an altered artifact the manifest that fits it."""
    facts = {f.name: getattr(Manifest.read(folder), f.name) for f in dataclasses.fields(Manifest) if f.name != "files"}
    Manifest.describe(folder, **{**facts, **changes}).write(folder)


def reading_graph(location: str) -> onnx.ModelProto:
    """A graph that gives every sentence the bytes of a file as its vector."""
    secret = TensorProto(name="secret", data_type=TensorProto.UINT8, dims=[1, len(SECRET)])
    secret.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": str(len(SECRET))}.items():
        secret.external_data.add(key=key, value=value)
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, [None]) for name in ("input_ids", "lengths")]
    outputs = [helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["sentences", len(SECRET)])]
    nodes = [
        helper.make_node("Cast", ["secret"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Shape", ["lengths"], ["sentences"]),
        helper.make_node("Concat", ["sentences", "one"], ["shape"], axis=0),
        helper.make_node("Expand", ["numbers", "shape"], ["sentence_embedding"]),
    ]
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializer=[secret, one])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def attack(artifact_copy: Path) -> Path:
    """An artifact whose graph reads a file beside its folder; everything else about it is in order."""
    (artifact_copy.parent / "secret").write_bytes(SECRET)
    onnx.save_model(reading_graph("../secret"), artifact_copy / GRAPH)
    describe_again(artifact_copy, dimension=len(SECRET))
    return artifact_copy


REFUSAL = r"model.onnx: refers to '../secret', which is no file of this artifact; do not trust its source"


def test_refused(attack: Path) -> None:
    for opening in (Encoder, open_artifact):
        with pytest.raises(IntegrityError, match=REFUSAL):
            opening(attack)


@pytest.mark.parametrize(
    "location", ["/etc/passwd", "../copy/model.onnx.data", "./model.onnx.data", "manifest.json", "", "unlisted"]
)
def test_only_listed_files(artifact_copy: Path, location: str) -> None:
    (artifact_copy / "unlisted").write_bytes(SECRET)
    onnx.save_model(reading_graph(location), artifact_copy / GRAPH)
    listed = {name: entry for name, entry in Manifest.files_in(artifact_copy).items() if name != "unlisted"}
    dataclasses.replace(Manifest.read(artifact_copy), files=listed, dimension=len(SECRET)).write(artifact_copy)
    with pytest.raises(IntegrityError, match=r"model.onnx: refers to '.*', which is no file of this artifact"):
        Encoder(artifact_copy)


def test_plan_outside(artifact_copy: Path) -> None:
    node = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", embed_mode=0, ep_cache_context="../plan")
    onnx.save_model(helper.make_model(helper.make_graph([node], "g", [], [])), artifact_copy / "engine-89.onnx")
    (artifact_copy / "engine-89.plan").write_bytes(b"plan")
    profile = {"min": [1, 1], "opt": [8, 32], "max": [64, 32]}
    files = {"graph": "engine-89.onnx", "file": "engine-89.plan"}
    plan = Plan(**files, compute_capability=89, builder="tensorrt-rtx 1", gpu=None, profile=profile)
    describe_again(artifact_copy, target="tensorrt-rtx", layout="grid", max_batch=64, engines={"89": plan})
    with pytest.raises(IntegrityError, match=r"engine-89.onnx: refers to '../plan', which is no file"):
        open_artifact(artifact_copy)


# The oldest that the extra allows, and one that reads whatever a graph names too.
@pytest.mark.parametrize("release", ["1.22.0", "1.23.0"])
def test_releases_that_read_whatever_a_graph_names(artifact: Path, attack: Path, tmp_path: Path, release: str) -> None:
    script = """
    import sys
    from pathlib import Path
    import numpy as np
    import onnxruntime
    from simcse_engine import Encoder
    from simcse_engine.errors import IntegrityError
    from simcse_engine.session.cpu import CpuSession

    genuine, attack, output, release = sys.argv[1:]
    assert onnxruntime.__version__ == release
    with Encoder(genuine) as encoder:
        np.save(output, encoder.encode(["A man plays a guitar.", "Someone makes music."]))
    # What the runtime alone would do.
    secret = CpuSession(Path(attack)).run(np.array([5, 6]), np.array([2]))
    assert bytes(secret[0].astype(np.uint8)) == b"root:x:0:0:root:"
    try:
        Encoder(attack)
    except IntegrityError as error:
        print(error)
    """
    folder = overlay(f"onnxruntime=={release}")
    output = tmp_path / "vectors.npy"
    path = f"{folder}:{ENGINE}"
    said = run_script(script, artifact, attack, output, release, PYTHONPATH=path, ORT_DISABLE_TELEMETRY="1")
    assert "refers to '../secret', which is no file of this artifact" in said
    with Encoder(artifact) as encoder:
        vectors = encoder.encode(["A man plays a guitar.", "Someone makes music."])
    np.testing.assert_allclose(np.load(output), vectors, rtol=0, atol=1e-6)


@pytest.mark.parametrize("at", [0, 1000])
def test_weights_that_end_before_a_tensor(artifact_copy: Path, at: int) -> None:
    weights = artifact_copy / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:at])
    describe_again(artifact_copy)
    with pytest.raises(IntegrityError, match=r"model.onnx: onnxruntime .* cannot open it"):
        Encoder(artifact_copy)
