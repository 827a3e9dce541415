"""Plans: their profiles, which one of an artifact runs where, and the options to make one. Pure functions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...artifact.manifest import Manifest
from ...artifact.parts import Plan
from ...errors import NotCompiledError
from ...machine.nvidia import Gpu

# Of the grid layout; each is [sentences, tokens of the longest].
_INPUTS = ("input_ids", "position_ids", "attention_mask")

# Plans are tuned for full batches of sentences of usual length. Not yet measured.
_USUAL_TOKENS = 32


def profile(max_batch: int, max_tokens: int) -> dict[str, list[int]]:
    """The shapes [sentences, tokens of the longest] that a plan takes: least, most, and those it is tuned for.

    >>> profile(64, 128)
    {'min': [1, 1], 'opt': [64, 32], 'max': [64, 128]}
    """
    return {"min": [1, 1], "opt": [max_batch, min(max_tokens, _USUAL_TOKENS)], "max": [max_batch, max_tokens]}


def runs_rtx(compute_capability: int) -> bool:
    """Whether the provider of TensorRT for RTX, version 0.5, runs on such GPUs; not on Hopper (90), for instance."""
    return compute_capability in (86, 89) or compute_capability >= 120


def profile_options(prefix: str, sizes: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """The provider's options that state a profile; ``prefix`` is "trt" or "nv".

    >>> profile_options("nv", {"min": [1, 1]})
    {'nv_profile_min_shapes': 'input_ids:1x1,position_ids:1x1,attention_mask:1x1'}
    """
    return {
        f"{prefix}_profile_{name}_shapes": ",".join(f"{each}:{rows}x{columns}" for each in _INPUTS)
        for name, (rows, columns) in sizes.items()
    }


def plan_for(manifest: Manifest, gpu: Gpu, builder: str) -> Plan:
    """The artifact's plan for this GPU and the installed compiler, named as in `Plan.builder`.

    Where there is none, NotCompiledError says which there are, and how to make one.
    """
    remedy = "on this machine: simcse-engine compile ARTIFACT -o NEW"
    plan = manifest.engines.get(str(gpu.compute_capability))
    if manifest.target == "tensorrt-rtx" and not runs_rtx(gpu.compute_capability):
        raise NotCompiledError(f"TensorRT for RTX does not run on {gpu}; export with --target tensorrt or cuda for it")
    if plan is None and not manifest.engines:
        raise NotCompiledError(
            f"this artifact for {manifest.target} holds no plan yet, and making one while requests wait would "
            f"stall them; compile it {remedy}"
        )
    if plan is None:
        raise NotCompiledError(
            f"this artifact was compiled for compute capability {', '.join(manifest.engines)}, and this GPU is "
            f"{gpu}; compile it {remedy}"
        )
    if plan.builder != builder:
        raise NotCompiledError(
            f"this artifact was compiled with {plan.builder}, which {builder} here cannot load; install that "
            f"version, or compile again {remedy}"
        )
    # TensorRT chooses its kernels by measuring them; TensorRT for RTX makes them for any GPU of the capability.
    if manifest.target == "tensorrt" and plan.gpu != gpu.name:
        raise NotCompiledError(f"this artifact was compiled for {plan.gpu}, and this GPU is {gpu}; compile it {remedy}")
    return plan


def parts_of(
    input_ids: NDArray[np.int64], lengths: NDArray[np.int64], max_batch: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Sentences laid end to end → parts of at most ``max_batch`` sentences, each ``input_ids`` and ``lengths``."""
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
    """The options with which onnxruntime's TensorRT provider makes a plan and writes it.

    ``trt_fp16_enable`` and the like are absent. TensorRT 11 knows only strongly typed networks, whose types are those
    that export wrote, and has nothing for these options to switch. With TensorRT 10 their absence asks the provider for
    such a network (microsoft/onnxruntime#18707).

    ``timings`` is a folder for one version of TensorRT: another one's timings are an error.
    """
    return {
        "device_id": str(device_index),
        **profile_options("trt", sizes),
        "trt_dump_ep_context_model": "1",
        "trt_ep_context_file_path": str(output),
        # One file: the provider would choose the name of a second one.
        "trt_ep_context_embed_mode": "1",
        **({} if timings is None else {"trt_timing_cache_enable": "1", "trt_timing_cache_path": str(timings)}),
    }


def runtime_cache(manifest: Manifest, plan: Plan, environment: Mapping[str, str]) -> Path:
    """The folder that keeps the kernels which TensorRT for RTX makes of a plan at its first use.

    It lies in the user's cache folder, as nothing writes into an artifact.
    """
    base = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = plan.builder.replace(" ", "-")
    return base / "simcse-engine" / version / f"{manifest.identity[:16]}-sm{plan.compute_capability}"
