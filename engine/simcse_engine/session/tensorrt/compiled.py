"""What is compiled, and what of it runs where: profiles, and the choice of an engine. Pure functions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...artifact.manifest import Engine, Manifest
from ...errors import NotCompiledError
from ...machine.nvidia import Gpu

# Of the grid layout; each is [sentences, longest].
INPUTS = ("input_ids", "position_ids", "attention_mask")

# What engines are tuned for: full batches of sentences of usual length. Not measured yet.
_USUAL_TOKENS = 32


def profile(max_batch: int, max_tokens: int) -> dict[str, list[int]]:
    """The shapes that an engine takes, [sentences, longest]: least, most, and what it is tuned for.

    >>> profile(64, 128)
    {'min': [1, 1], 'opt': [64, 32], 'max': [64, 128]}
    """
    return {"min": [1, 1], "opt": [max_batch, min(max_tokens, _USUAL_TOKENS)], "max": [max_batch, max_tokens]}


def runs_rtx(compute_capability: int) -> bool:
    """Whether the provider of TensorRT for RTX, of version 0.5, runs on such GPUs: not on Hopper (90), for one."""
    return compute_capability in (86, 89) or compute_capability >= 120


def shapes(sizes: Sequence[int]) -> str:
    """A profile's sizes as the providers' options take them.

    >>> shapes([64, 32])
    'input_ids:64x32,position_ids:64x32,attention_mask:64x32'
    """
    return ",".join(f"{name}:{'x'.join(map(str, sizes))}" for name in INPUTS)


def profile_options(prefix: str, sizes: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """The provider's options that state a profile; ``prefix`` is "trt" or "nv"."""
    return {f"{prefix}_profile_{name}_shapes": shapes(size) for name, size in sizes.items()}


def engine_for(manifest: Manifest, gpu: Gpu, builder: str) -> Engine:
    """The artifact's engine that this GPU can run with this compiler's library.

    Args:
        manifest: the artifact's.
        gpu: where it shall run.
        builder: the compiler that is installed, and its version, as in `Engine.builder`.

    Raises:
        NotCompiledError: there is none; says what there is, and how to make one.
    """
    remedy = "on this machine: simcse-engine compile ARTIFACT -o NEW"
    engine = manifest.engines.get(str(gpu.compute_capability))
    if manifest.target == "tensorrt-rtx" and not runs_rtx(gpu.compute_capability):
        raise NotCompiledError(f"TensorRT for RTX does not run on {gpu}; export with --target tensorrt or cuda for it")
    if engine is None and not manifest.engines:
        raise NotCompiledError(
            f"this artifact for {manifest.target} holds no engine yet, and building one while requests wait would "
            f"stall them; compile it {remedy}"
        )
    if engine is None:
        raise NotCompiledError(
            f"this artifact was compiled for compute capability {', '.join(manifest.engines)}, and this GPU is "
            f"{gpu}; compile it {remedy}"
        )
    if engine.builder != builder:
        raise NotCompiledError(
            f"this artifact was compiled with {engine.builder}, which {builder} here cannot load; install that "
            f"version, or compile again {remedy}"
        )
    # TensorRT chooses its kernels by measuring them; TensorRT for RTX makes them for any GPU of the capability.
    if manifest.target == "tensorrt" and engine.gpu != gpu.name:
        raise NotCompiledError(
            f"this artifact was compiled for {engine.gpu}, and this GPU is {gpu}; compile it {remedy}"
        )
    return engine


def divided(
    input_ids: NDArray[np.int64], lengths: NDArray[np.int64], max_batch: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Sentences laid end to end → the same in parts of at most ``max_batch`` sentences."""
    ends = np.cumsum(lengths)
    parts = []
    for start in range(0, len(lengths), max_batch):
        stop = min(start + max_batch, len(lengths))
        first = ends[start] - lengths[start]
        parts.append((input_ids[first : ends[stop - 1]], lengths[start:stop]))
    return parts


def compile_options(
    output: Path, device_index: int, sizes: Mapping[str, Sequence[int]], timings: Path | None
) -> dict[str, str]:
    """The options with which onnxruntime's TensorRT provider builds an engine and writes it.

    None of ``trt_fp16_enable`` and the like: without them the provider builds a strongly typed network, whose types are
    those that export wrote (microsoft/onnxruntime#18707).
    """
    return {
        "device_id": str(device_index),
        **profile_options("trt", sizes),
        "trt_dump_ep_context_model": "1",
        "trt_ep_context_file_path": str(output),
        # One file: the provider would choose the name of another one.
        "trt_ep_context_embed_mode": "1",
        **({} if timings is None else {"trt_timing_cache_enable": "1", "trt_timing_cache_path": str(timings)}),
    }


def rtx_compile_entries(output: Path) -> dict[str, str]:
    """The session's entries with which the plugin's provider writes what it built."""
    return {"ep.context_enable": "1", "ep.context_file_path": str(output), "ep.context_embed_mode": "1"}


def runtime_cache(manifest: Manifest, engine: Engine, environment: Mapping[str, str]) -> Path:
    """Where the kernels that TensorRT for RTX makes of an engine at its first use are kept for the next time.

    In the user's cache folder: an artifact is never written to.
    """
    base = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = engine.builder.replace(" ", "-")
    return base / "simcse-engine" / version / f"{manifest.identity[:16]}-sm{engine.compute_capability}"
