"""A session on a plan: TensorRT through the provider in onnxruntime-gpu, TensorRT for RTX through its plugin.

Neither has run on a GPU yet.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...artifact.manifest import Manifest
from ...errors import CompileError, IntegrityError
from ...machine.device import parse_device
from ...machine.nvidia import gpu
from ..feeds import grid
from ..graph import check_interface, gpu_settings, open_graph
from ..library import first_line
from ..session import Session
from .libraries import TENSORRT, load_rtx, load_tensorrt
from .plans import compile_options, parts_of, plan_for, profile_options, runtime_cache
from .rtx import open_rtx


class TensorRtSession(Session):
    """One compiled graph on one GPU. The plan's profile bounds its memory there."""

    def __init__(self, artifact: Path, manifest: Manifest, device: str) -> None:
        """Open the plan that the artifact holds for this GPU; NotCompiledError where it holds none."""
        _, index = parse_device(device)
        plan = plan_for(manifest, gpu(index), builder(manifest.target))
        if manifest.target == "tensorrt":
            options = {"device_id": str(index)}
            session = open_graph(artifact / plan.graph, gpu_settings(), TENSORRT, options, device=device)
        else:
            cache = runtime_cache(manifest, plan, os.environ)
            options = {"nv_runtime_cache_path": str(cache)}
            try:
                cache.mkdir(parents=True, exist_ok=True)
            except OSError:
                options = {}  # the cache only saves seconds at the next start
            session = open_rtx(artifact / plan.graph, gpu_settings(), options, device)
        check_interface(session, artifact / plan.graph, manifest.layout)
        super().__init__(session)
        self._max_batch = plan.profile["max"][0]
        self._padding_id = manifest.padding_id

    def run(
        self,
        input_ids: NDArray[np.int64],
        lengths: NDArray[np.int64],
        skipped: int = 0,  # noqa: ARG002 - no graph for a GPU leaves tokens out
    ) -> NDArray[np.float32]:
        """See `Session`; more sentences than the plan takes at once run one part after another."""
        parts = [
            self._session.run(None, grid(ids, counts, self._padding_id))[0]
            for ids, counts in parts_of(input_ids, lengths, self._max_batch)
        ]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]


def builder(target: str) -> str:
    """Load the libraries of the target's compiler, or raise; its name and version, as in `Plan.builder`."""
    return f"{target} {load_tensorrt() if target == 'tensorrt' else load_rtx()}"


def compile_graph(
    graph: Path,
    output: Path,
    target: str,
    device: str,
    *,
    sizes: Mapping[str, Sequence[int]],
    timings: Path | None,
) -> None:
    """Let the runtime make a plan of a graph in plain operators, and write it inside a graph of one node, ``output``.

    ``sizes`` are the plan's profile; ``timings`` is a folder where TensorRT keeps its measurements for the next time.
    """
    settings = gpu_settings()
    try:
        if target == "tensorrt":
            _, index = parse_device(device)
            load_tensorrt()
            open_graph(graph, settings, TENSORRT, compile_options(output, index, sizes, timings), device=device)
        else:
            settings.add_session_config_entry("ep.context_enable", "1")
            settings.add_session_config_entry("ep.context_file_path", str(output))
            settings.add_session_config_entry("ep.context_embed_mode", "1")
            open_rtx(graph, settings, profile_options("nv", sizes), device)
    except IntegrityError as error:
        raise CompileError(f"{target} made no plan for {device}: {first_line(error)}") from error
    if not output.is_file():
        raise CompileError(f"{target} made no plan for {device}, and gave no reason")
