"""A session on a plan: TensorRT through the provider in onnxruntime-gpu, TensorRT for RTX through its plugin.

Neither has run on a GPU yet.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...artifact.manifest import Engine, Manifest
from ...errors import CompileError, IntegrityError
from ...machine.forks import never_destroy
from ...machine.nvidia import gpu
from ..feeds import grid
from ..graph import open_graph, settings
from ..library import first_line
from ..session import SessionOptions
from .libraries import TENSORRT, load_rtx, load_tensorrt
from .plans import compile_options, parts_of, plan_for, profile_options, rtx_compile_entries, runtime_cache
from .rtx import open_rtx

if TYPE_CHECKING:
    import onnxruntime


class TensorRtSession:
    """One compiled graph on one GPU; see `Session`.

    The plan's profile bounds its memory on the GPU.
    """

    def __init__(self, artifact: Path, manifest: Manifest, options: SessionOptions) -> None:
        """Open the plan that the artifact holds for this GPU.

        Args:
            artifact: its folder.
            manifest: its manifest.
            options: the device.

        Raises:
            ProviderError: no driver, no such GPU, or the provider does not load.
            RuntimeMissingError: onnxruntime, TensorRT or TensorRT for RTX is not installed.
            NotCompiledError: no plan is for this GPU and this version of the library.
            IntegrityError: the runtime cannot read the plan.
        """
        plan = plan_for(manifest, gpu(options.device_index), builder(manifest.target))
        self._session = _open_plan(artifact, plan, manifest, options)
        self._max_batch = plan.profile["max"][0]
        self._padding_id = manifest.padding_id

    @property
    def dimension(self) -> int:
        """See `Session`."""
        return int(self._session.get_outputs()[0].shape[1])

    def run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Session`; more sentences than the plan takes at once run one part after another."""
        parts = [
            self._session.run(None, grid(ids, counts, self._padding_id))[0]
            for ids, counts in parts_of(input_ids, lengths, self._max_batch)
        ]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def abandon(self) -> None:
        """See `Session`."""
        never_destroy(self._session)


def builder(target: str) -> str:
    """Load the libraries of the target's compiler; its name and version, as in `Engine.builder`.

    Raises:
        RuntimeMissingError: it is not installed, or another version than onnxruntime takes; or no onnxruntime is.
    """
    return f"{target} {load_tensorrt() if target == 'tensorrt' else load_rtx()}"


def compile_graph(
    graph: Path,
    output: Path,
    target: str,
    options: SessionOptions,
    *,
    sizes: Mapping[str, Sequence[int]],
    timings: Path | None,
) -> None:
    """Let the runtime make a plan of ``graph`` for the GPU, and write it inside a graph of one node.

    Args:
        graph: an ONNX file in plain operators; its weights lie beside it.
        output: the ONNX file to write.
        target: "tensorrt" or "tensorrt-rtx".
        options: the device.
        sizes: from `simcse_engine.session.tensorrt.plans.profile`.
        timings: a folder where TensorRT keeps its measurements for the next time; None to keep none.

    Raises:
        ProviderError, RuntimeMissingError: as for `TensorRtSession`.
        CompileError: no plan came of it.
    """
    session_settings = _settings()
    try:
        if target == "tensorrt":
            provider_options = compile_options(output, options.device_index, sizes, timings)
            load_tensorrt()
            open_graph(graph, session_settings, TENSORRT, provider_options, device=options.device)
        else:
            for name, value in rtx_compile_entries(output).items():
                session_settings.add_session_config_entry(name, value)
            open_rtx(graph, session_settings, profile_options("nv", sizes), options)
    except IntegrityError as error:
        raise CompileError(f"{target} made no plan for {options.device}: {first_line(error)}") from error
    if not output.is_file():
        raise CompileError(f"{target} made no plan for {options.device}, and gave no reason")


def _open_plan(
    artifact: Path, plan: Engine, manifest: Manifest, options: SessionOptions
) -> "onnxruntime.InferenceSession":
    """Open the graph that refers to the plan, on that plan and nothing else."""
    session_settings = _settings()
    if manifest.target == "tensorrt":
        provider_options = {"device_id": str(options.device_index)}
        load_tensorrt()
        return open_graph(artifact / plan.graph, session_settings, TENSORRT, provider_options, device=options.device)
    cache = runtime_cache(manifest, plan, os.environ)
    provider_options = {"nv_runtime_cache_path": str(cache)}
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        provider_options = {}  # the cache only saves seconds at the next start
    return open_rtx(artifact / plan.graph, session_settings, provider_options, options)


def _settings() -> "onnxruntime.SessionOptions":
    result = settings(threads=1)
    # Nodes that the plan does not hold would run here unseen, and slowly.
    result.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return result
