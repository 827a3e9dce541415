"""Sessions on compiled engines: TensorRT through the provider in onnxruntime-gpu, TensorRT for RTX through its plugin.

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
from ..library import TENSORRT, first_line, import_runtime, preload
from ..opening import open_graph, settings
from ..session import SessionOptions
from .compiled import compile_options, divided, engine_for, profile_options, rtx_compile_entries, runtime_cache
from .nvinfer import load_rtx, load_tensorrt
from .rtx import open_rtx

if TYPE_CHECKING:
    import onnxruntime


class TensorRtSession:
    """One compiled graph on one GPU; see `Session`.

    Its memory on the GPU is bounded by the engine's profile, of which no run takes more.
    """

    def __init__(self, artifact: Path, manifest: Manifest, options: SessionOptions) -> None:
        """Open the engine that the artifact holds for this GPU.

        Args:
            artifact: its folder.
            manifest: its manifest.
            options: the device.

        Raises:
            ProviderError: no driver, no such GPU, or the provider does not load.
            RuntimeMissingError: onnxruntime, TensorRT or TensorRT for RTX is not installed.
            NotCompiledError: no engine is for this GPU and this version of the library.
            IntegrityError: the runtime cannot read the engine.
        """
        engine = engine_for(manifest, gpu(options.device_index), builder(manifest.target))
        self._session = open_engine(artifact, engine, manifest, options)
        self._max_batch = engine.profile["max"][0]
        self._padding_id = manifest.padding_id

    @property
    def dimension(self) -> int:
        """See `Session`."""
        return int(self._session.get_outputs()[0].shape[1])

    def run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Session`; of more sentences than the engine takes at once, one part after another."""
        parts = [
            self._session.run(None, grid(ids, counts, self._padding_id))[0]
            for ids, counts in divided(input_ids, lengths, self._max_batch)
        ]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def abandon(self) -> None:
        """See `Session`."""
        never_destroy(self._session)


def builder(target: str) -> str:
    """The compiler of this target that is installed, and its version, as in `Engine.builder`.

    Raises:
        RuntimeMissingError: it is not installed, or another version than onnxruntime takes; or no onnxruntime is.
    """
    if target == "tensorrt":
        # Its libraries need CUDA's.
        preload(import_runtime(), TENSORRT)
        return f"{target} {load_tensorrt()}"
    return f"{target} {load_rtx()}"


def open_engine(
    artifact: Path, engine: Engine, manifest: Manifest, options: SessionOptions
) -> "onnxruntime.InferenceSession":
    """Open the graph that refers to the engine, on that engine and nothing else."""
    made = _settings()
    if manifest.target == "tensorrt":
        provider_options = {"device_id": str(options.device_index)}
        return open_graph(artifact / engine.graph, made, TENSORRT, provider_options, device=options.device)
    cache = runtime_cache(manifest, engine, os.environ)
    kept = {"nv_runtime_cache_path": str(cache)} if _made(cache) else {}
    return open_rtx(artifact / engine.graph, made, kept, options)


def compile_graph(
    graph: Path,
    output: Path,
    target: str,
    options: SessionOptions,
    *,
    sizes: Mapping[str, Sequence[int]],
    timings: Path | None,
) -> None:
    """Let the runtime make an engine of ``graph`` for the GPU, and write it, inside a graph of one node.

    Args:
        graph: an ONNX file in plain operators; its weights lie beside it.
        output: the ONNX file to write.
        target: "tensorrt" or "tensorrt-rtx".
        options: the device.
        sizes: as `compiled.profile` gives them.
        timings: a folder where TensorRT keeps what it measured, for the next time; None for none.

    Raises:
        ProviderError, RuntimeMissingError: as for `TensorRtSession`.
        CompileError: no engine came of it.
    """
    made = _settings()
    try:
        if target == "tensorrt":
            provider_options = compile_options(output, options.device_index, sizes, timings)
            open_graph(graph, made, TENSORRT, provider_options, device=options.device)
        else:
            for name, value in rtx_compile_entries(output).items():
                made.add_session_config_entry(name, value)
            open_rtx(graph, made, profile_options("nv", sizes), options)
    except IntegrityError as error:
        raise CompileError(f"{target} made no engine for {options.device}: {first_line(error)}") from error
    if not output.is_file():
        raise CompileError(f"{target} made no engine for {options.device}, and gave no reason")


def _made(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False  # it only saves seconds at the next start
    return True


def _settings() -> "onnxruntime.SessionOptions":
    made = settings(threads=1)
    # What the engine does not hold would run here unseen, and slowly.
    made.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return made
