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


def test_the_runtimes_own_format_is_refused_by_any_name(tmp_path: Path) -> None:
    # Nobody has read beforehand which files such a graph refers to.
    runtime, writing = library.import_runtime(), library.import_runtime().SessionOptions()
    writing.log_severity_level = 4
    writing.optimized_model_filepath = str(tmp_path / "engine-89.ort")
    writing.add_session_config_entry("session.save_model_format", "ORT")
    runtime.InferenceSession(library._PROBE, writing, providers=[library.CPU])
    with pytest.raises(IntegrityError, match="cannot open it"):
        graph.open_graph(tmp_path / "engine-89.ort", graph.settings(1), library.CPU, device="cpu")
