"""A graph opened on one provider, or the reason why not; never on another provider."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import IntegrityError, ProviderError
from ..machine.limits import check_threads
from .feeds import FEEDS, SKIPPED
from .library import CPU, INSTALL, first_line, import_runtime, preload_libraries, probe_provider
from .maker import make_session

if TYPE_CHECKING:
    import onnxruntime


def settings(threads: int, *, folding: bool = False) -> "onnxruntime.SessionOptions":
    """The settings of every session of ours; on a CPU, so many of the runtime's threads share a run.

    ``folding``: what depends on weights alone, such as their conversion, is computed once, as the graph is opened.
    """
    ort = import_runtime()
    # Where it gets one of its threads and not the next, the runtime waits for ever.
    check_threads(threads)
    result = ort.SessionOptions()
    result.intra_op_num_threads = threads
    result.inter_op_num_threads = 1
    result.log_severity_level = 3
    # Export wrote the graph as it runs, so nothing is left to rewrite (docs/decisions/002-no-rewriting-at-load.md).
    levels = ort.GraphOptimizationLevel
    result.graph_optimization_level = levels.ORT_ENABLE_BASIC if folding else levels.ORT_DISABLE_ALL
    # By its name alone, the runtime would take an .ort file for its own format, which nobody has read beforehand.
    result.add_session_config_entry("session.load_model_format", "ONNX")
    # Threads spin between the steps of a run, for its latency, and sleep as soon as the run is over.
    result.add_session_config_entry("session.force_spinning_stop", "1")
    # A memory pattern of one batch helps no batch of another shape, and keeps the memory of the largest.
    result.enable_mem_pattern = False
    return result


def gpu_settings() -> "onnxruntime.SessionOptions":
    """`settings` for a GPU: a node that has no kernel there is an error, and never runs on the CPU."""
    result = settings(threads=1)
    result.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return result


def open_graph(
    graph: Path,
    session_settings: "onnxruntime.SessionOptions",
    provider: str,
    options: Mapping[str, str] | None = None,
    *,
    device: str,
) -> "onnxruntime.InferenceSession":
    """Open an ONNX file on ``provider`` with its ``options``; errors name the user's ``device``."""
    ort = import_runtime()
    install = INSTALL["cpu" if provider == CPU else "cuda"]
    if provider not in ort.get_available_providers():
        raise ProviderError(
            f"asked for {device}, and the onnxruntime {ort.__version__} here has no {provider}; "
            f"{install} in an environment without another onnxruntime, then run simcse-engine doctor"
        )
    preload_libraries(ort, provider)
    try:
        # Links stay unresolved: the hub's cache consists of links, and the weights are looked for beside the link.
        # With its fallback, the runtime would go on on another device, at load or amid a run, and print that to stdout.
        providers = [(provider, dict(options or {}))]
        session = make_session(ort, graph, session_settings, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime's exceptions have no common base of their own
        reason = probe_provider(provider)
        if reason is not None:
            raise ProviderError(
                f"asked for {device}, and {provider} does not load: {reason}; {install}, then run simcse-engine doctor"
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


def check_interface(
    session: "onnxruntime.InferenceSession", graph: Path, layout: str, *, include_prompt: bool = True
) -> None:
    """Raise IntegrityError unless a graph takes what is fed in its manifest's layout, and gives vectors."""
    taken = {each.name for each in session.get_inputs()}
    fed = FEEDS[layout](np.array([0]), np.array([1]), None).keys() | (set() if include_prompt else {SKIPPED})
    if taken != fed:
        raise IntegrityError(
            f"{graph}: takes {', '.join(sorted(taken)) or 'nothing'}, and layout {layout!r} of the manifest feeds "
            f"{', '.join(sorted(fed))}; export again"
        )
    output = session.get_outputs()[0]
    if output.type != "tensor(float)" or len(output.shape) != 2 or not isinstance(output.shape[1], int):
        raise IntegrityError(
            f"{graph}: gives {output.type} {output.shape}, expected tensor(float) [sentences, dimension]; export again"
        )
