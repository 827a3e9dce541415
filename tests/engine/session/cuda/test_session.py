"""What of the CUDA session runs without a GPU: its options, and what it says where there is none."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from simcse_engine.artifact.opening import open_artifact
from simcse_engine.errors import ProviderError
from simcse_engine.schedule import GPU_LIMITS, Limits, limits_for, make_batches
from simcse_engine.session.cuda import cudart
from simcse_engine.session.cuda.session import provider_options


@pytest.fixture
def no_gpu() -> Iterator[None]:
    try:
        cudart.CudaRuntime(0)
    except ProviderError:
        yield
    else:
        pytest.skip("this machine has a GPU")


def test_float32_is_float32() -> None:
    assert provider_options(0, precision="fp32")["use_tf32"] == "0"
    assert provider_options(0, precision="fp16")["use_tf32"] == "1"


def test_the_gpu_that_was_asked_for() -> None:
    assert provider_options(3, precision="fp16")["device_id"] == "3"
    assert "device_id" not in provider_options(0, precision="fp16")


@pytest.mark.usefixtures("no_gpu")
def test_what_is_missing_is_named() -> None:
    with pytest.raises(ProviderError, match=r"libcudart.*cannot be loaded; pip install|cuda:0: looking for GPUs: "):
        cudart.CudaRuntime(0)


def test_limits(artifact: Path) -> None:
    manifest = open_artifact(artifact)
    assert limits_for(manifest, "cpu") == Limits()
    packed = replace(manifest, layout="packed", target="cuda", precision="fp16")
    assert limits_for(packed, "cuda:1") == GPU_LIMITS
    assert limits_for(replace(packed, precision="fp32"), "cuda") == replace(GPU_LIMITS, mixed_padding=512)
    compiled = replace(manifest, layout="grid", target="tensorrt", max_batch=64, max_tokens=128)
    limits = limits_for(compiled, "cuda")
    assert (limits.padded, limits.batch_sentences, limits.batch_tokens) == (True, 64, 8192)
    assert limits_for(compiled, "cpu") == Limits(padded=True)


def test_a_gpu_s_batches_are_full() -> None:
    lengths = [8 + i % 40 for i in range(5000)]
    batches = make_batches(lengths, GPU_LIMITS)
    tokens = [sum(lengths[i] for i in batch) for batch in batches]
    assert all(count > 0.99 * GPU_LIMITS.batch_tokens for count in sorted(tokens)[1:])


def test_grids_keep_to_what_was_compiled() -> None:
    lengths = [1 + i % 128 for i in range(1000)]
    batches = make_batches(lengths, Limits(padded=True, batch_tokens=64 * 128, batch_sentences=64))
    assert max(len(batch) for batch in batches) == 64
    places = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert places < 1.1 * sum(lengths)
