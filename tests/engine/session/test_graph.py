"""A graph opens on the provider that was named, or the error says why not."""

from pathlib import Path

import pytest

from simcse_engine.artifact.manifest import GRAPH
from simcse_engine.errors import IntegrityError, ProviderError
from simcse_engine.session import graph, library
from simcse_engine.session.cpu import CpuSession


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:3"])
def test_a_device_whose_provider_is_absent_is_refused(tmp_path: Path, device: str) -> None:
    if "CUDAExecutionProvider" in library.import_runtime().get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(ProviderError, match=rf"asked for {device}, .* has no CUDAExecutionProvider.*\[gpu\]"):
        graph.open_graph(tmp_path / GRAPH, graph.settings(1), library.CUDA, device=device)


def test_a_file_that_is_no_graph_is_the_artifact_s_fault(tmp_path: Path) -> None:
    (tmp_path / GRAPH).write_bytes(b"no graph")
    with pytest.raises(IntegrityError, match="cannot open it"):
        CpuSession(tmp_path)
