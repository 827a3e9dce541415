"""Opens a graph on one provider, or says what is in the way; never on another one."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import IntegrityError, ProviderError
from .library import CPU, INSTALL, first_line, import_runtime, preload, probe_provider

if TYPE_CHECKING:
    import onnxruntime


def settings(threads: int) -> "onnxruntime.SessionOptions":
    """What every session of ours is opened with."""
    ort = import_runtime()
    made = ort.SessionOptions()
    made.intra_op_num_threads = threads
    made.inter_op_num_threads = 1
    made.log_severity_level = 3
    # Export wrote the graph as it shall run, so nothing is left to rewrite at load.
    made.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Threads spin between the steps of a run, which its latency needs, and sleep as soon as the run is over.
    made.add_session_config_entry("session.force_spinning_stop", "1")
    # A pattern of one batch's memory helps no batch of another shape, and keeps the largest one's memory.
    made.enable_mem_pattern = False
    return made


def open_graph(
    graph: Path,
    made: "onnxruntime.SessionOptions",
    provider: str,
    options: Mapping[str, str] | None = None,
    *,
    device: str,
) -> "onnxruntime.InferenceSession":
    """Open ``graph`` on ``provider``.

    Args:
        graph: an ONNX file; its weights lie beside it.
        made: as `settings` gives them.
        provider: the runtime's name for it.
        options: the provider's.
        device: what the user asked for, for the errors.

    Raises:
        RuntimeMissingError: no onnxruntime, or two of them.
        ProviderError: the provider is not compiled in, or does not load.
        IntegrityError: the runtime cannot read the graph.
    """
    ort = import_runtime()
    install = INSTALL["cpu" if provider == CPU else "cuda"]
    if provider not in ort.get_available_providers():
        raise ProviderError(
            f"asked for {device}, and the onnxruntime {ort.__version__} here has no {provider}; "
            f"{install} in an environment without another onnxruntime, then run simcse-engine doctor"
        )
    preload(ort, provider)
    try:
        # As named, links unresolved: the hub's cache is made of links, and the weights are looked for beside the link.
        # Its fallback would go on on another device, at load or amid a run, and print to stdout that it did.
        session = ort.InferenceSession(str(graph), made, providers=[(provider, dict(options or {}))], enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions have no common base of their own
        said = probe_provider(provider)
        if said is not None:
            raise ProviderError(
                f"asked for {device}, and {provider} does not load: {said}; {install}, then run simcse-engine doctor"
            ) from error
        raise IntegrityError(
            f"{graph}: onnxruntime {ort.__version__} cannot open it: {first_line(error)}; "
            "upgrade onnxruntime, or export again with this machine's version"
        ) from error
    if session.get_providers()[0] != provider:
        raise ProviderError(
            f"asked for {device}, got {session.get_providers()[0]}; {install}, then run simcse-engine doctor"
        )
    return session
