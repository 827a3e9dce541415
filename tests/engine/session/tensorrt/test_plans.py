"""The options of the compilers, and which plan runs where: no GPU is needed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simcse_engine.artifact.manifest import Manifest
from simcse_engine.artifact.parts import Plan
from simcse_engine.errors import NotCompiledError
from simcse_engine.machine.nvidia import Gpu
from simcse_engine.session.tensorrt import plans

L4 = Gpu(name="NVIDIA L4", compute_capability=89)
RTX_4090 = Gpu(name="NVIDIA GeForce RTX 4090", compute_capability=89)
H100 = Gpu(name="NVIDIA H100 80GB HBM3", compute_capability=90)
TENSORRT, RTX = "tensorrt 10.13.3.9", "tensorrt-rtx 1.7.1.116"


@pytest.fixture
def compiled_for(artifact: Path) -> Callable[..., Manifest]:
    def make(target: str, builder: str, gpu: str | None, *capabilities: int) -> Manifest:
        engines = {
            str(each): Plan(
                graph=f"engine-{each}.onnx",
                file=f"engine-{each}.plan",
                compute_capability=each,
                builder=builder,
                gpu=gpu,
                profile=plans.profile(64, 32),
            )
            for each in capabilities
        }
        return replace(Manifest.read(artifact), target=target, max_batch=64, engines=engines)

    return make


def test_profiles_go_from_one_token_to_the_limits() -> None:
    assert plans.profile(64, 128) == {"min": [1, 1], "opt": [64, 32], "max": [64, 128]}
    assert plans.profile(1, 8) == {"min": [1, 1], "opt": [1, 8], "max": [1, 8]}


def test_profiles_name_every_input() -> None:
    assert plans.profile_options("nv", plans.profile(8, 48)) == {
        "nv_profile_min_shapes": "input_ids:1x1,position_ids:1x1,attention_mask:1x1",
        "nv_profile_opt_shapes": "input_ids:8x32,position_ids:8x32,attention_mask:8x32",
        "nv_profile_max_shapes": "input_ids:8x48,position_ids:8x48,attention_mask:8x48",
    }


def test_tensorrt_is_told_to_write_one_file_and_nothing_of_types() -> None:
    options = plans.compile_options(Path("/new/engine-90.onnx"), 1, plans.profile(8, 48), None)
    assert options["device_id"] == "1"
    assert options["trt_ep_context_file_path"] == "/new/engine-90.onnx"
    assert options["trt_ep_context_embed_mode"] == options["trt_dump_ep_context_model"] == "1"
    assert {name for name in options if name.startswith("trt_profile")} == {
        *("trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_profile_max_shapes")
    }
    assert not [name for name in options if "fp16" in name or "int8" in name or "timing" in name]
    options = plans.compile_options(Path("/new/engine-90.onnx"), 1, plans.profile(8, 48), Path("/timings"))
    assert (options["trt_timing_cache_enable"], options["trt_timing_cache_path"]) == ("1", "/timings")


def test_a_plan_of_the_gpu_and_the_version_is_taken(compiled_for: Callable[..., Manifest]) -> None:
    manifest = compiled_for("tensorrt", TENSORRT, H100.name, 90)
    assert plans.plan_for(manifest, H100, TENSORRT) == manifest.engines["90"]
    manifest = compiled_for("tensorrt-rtx", RTX, None, 89, 120)
    assert plans.plan_for(manifest, L4, RTX).file == "engine-89.plan"
    assert plans.plan_for(manifest, RTX_4090, RTX).file == "engine-89.plan"


def test_a_plan_for_rtx_runs_on_every_gpu_of_its_capability(compiled_for: Callable[..., Manifest]) -> None:
    manifest = compiled_for("tensorrt-rtx", RTX, L4.name, 89)
    assert plans.plan_for(manifest, RTX_4090, RTX)


@pytest.mark.parametrize(
    ("made", "gpu", "builder", "words"),
    [
        pytest.param(("tensorrt", TENSORRT, None), H100, TENSORRT, ["holds no plan yet"], id="not compiled"),
        pytest.param(
            ("tensorrt-rtx", RTX, None, 86, 120),
            L4,
            RTX,
            ["for compute capability 86, 120", "this GPU is NVIDIA L4 (compute capability 89)"],
            id="another capability",
        ),
        pytest.param(
            ("tensorrt", "tensorrt 10.14.1.48", H100.name, 90),
            H100,
            TENSORRT,
            ["with tensorrt 10.14.1.48, which tensorrt 10.13.3.9 here cannot load", "install that version"],
            id="another version",
        ),
        pytest.param(
            ("tensorrt", TENSORRT, L4.name, 89),
            RTX_4090,
            TENSORRT,
            ["for NVIDIA L4, and this GPU is NVIDIA GeForce RTX 4090"],
            id="another GPU of the capability",
        ),
    ],
)
def test_what_cannot_run_is_told_to_be_compiled_here(
    compiled_for: Callable[..., Manifest], made: tuple[str, ...], gpu: Gpu, builder: str, words: list[str]
) -> None:
    with pytest.raises(NotCompiledError) as raised:
        plans.plan_for(compiled_for(*made), gpu, builder)
    for each in [*words, "simcse-engine compile ARTIFACT -o NEW"]:
        assert each in str(raised.value)


def test_a_gpu_that_rtx_does_not_run_on_is_sent_elsewhere(compiled_for: Callable[..., Manifest]) -> None:
    with pytest.raises(NotCompiledError, match=r"does not run on NVIDIA H100 .*; export with --target tens"):
        plans.plan_for(compiled_for("tensorrt-rtx", RTX, None, 89), H100, RTX)
    assert [each for each in (75, 80, 86, 89, 90, 100, 120, 121) if plans.runs_rtx(each)] == [86, 89, 120, 121]


@pytest.mark.parametrize("max_batch", [1, 2, 3, 4, 100])
def test_runs_are_divided_into_what_a_plan_takes(max_batch: int) -> None:
    lengths = np.array([3, 1, 2, 4])
    ids = np.arange(10)
    parts = plans.parts_of(ids, lengths, max_batch)
    assert all(len(counts) <= max_batch and len(part) == counts.sum() for part, counts in parts)
    assert len(parts) == -(-4 // max_batch)
    assert np.array_equal(np.concatenate([part for part, _ in parts]), ids)
    assert np.array_equal(np.concatenate([counts for _, counts in parts]), lengths)


def test_the_runtime_cache_is_the_user_s_and_of_one_plan(compiled_for: Callable[..., Manifest]) -> None:
    manifest = compiled_for("tensorrt-rtx", RTX, None, 89)
    found = plans.runtime_cache(manifest, manifest.engines["89"], {"XDG_CACHE_HOME": "/cache"})
    assert found == Path("/cache/simcse-engine/tensorrt-rtx-1.7.1.116") / f"{manifest.identity[:16]}-sm89"
    assert plans.runtime_cache(manifest, manifest.engines["89"], {}).is_relative_to(Path.home() / ".cache")
