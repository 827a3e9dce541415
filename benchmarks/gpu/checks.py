"""Is what a GPU computes right, all of it on the GPU, and does its memory stay level? Asked of one artifact."""

import collections
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import GRAPH, Manifest
from simcse_engine.errors import SimCSEError
from simcse_engine.measure import parity
from simcse_engine.measure.quality import measure
from simcse_engine.measure.sts import read_tasks
from simcse_engine.session.cuda.cudart import CudaRuntime
from simcse_engine.session.graph import open_graph, settings
from simcse_engine.session.library import CPU, CUDA, import_runtime

from .field import Field

LEAST = {"mean_cosine": 0.99999, "min_cosine": 0.9999, "alone_and_in_company": 0.99999}
MOST_SPEARMAN_LOSS = 0.02

# The driver itself takes memory for kernels that it had not loaded, and rounds to pages.
GROWTH_BYTES = 64 << 20


def everything(field: Field) -> dict[str, Any]:
    """All checks but `memory`, each with whether it is met; one that fails is reported, and the others go on."""
    artifact, device, texts = field.prepared.ours, field.device, field.texts[: field.work.sentences]
    figures: dict[str, Any] = {"identity": Manifest.read(artifact).identity}

    def ask(name: str, question: Callable[[], dict[str, Any]]) -> None:
        try:
            figures[name] = question()
        except (SimCSEError, RuntimeError) as error:
            figures[name] = {"error": str(error), "met": False}

    ask("verified", lambda: verified(artifact, device))
    ask("placement", lambda: placement(artifact, device))
    ask("agreement", lambda: agreement(field.ours.encoder, texts, field.reference.vectors))
    sts, exact = field.prepared.sts, field.reference.spearman
    if sts is not None and exact is not None:
        ask("spearman", lambda: spearman(field.ours.encoder, exact, sts))
    ask("threads", lambda: threads(field.ours.encoder, texts))
    return {**figures, "met": all(each["met"] for each in figures.values() if isinstance(each, dict))}


def memory(field: Field) -> dict[str, Any]:
    """Whether the GPU's memory grows over many batches of varied sizes and lengths."""
    ours, batches = field.ours, field.work.batches
    draw, longest = np.random.default_rng(0), ours.encoder.max_tokens

    def run(count: int) -> None:
        for _ in range(count):
            ours.encode_ids(field.ids_of(draw.integers(3, longest + 1, int(draw.integers(1, 200))).tolist()))

    # The runtime allocates in growing blocks, the last of them for the least likely mixture.
    settled = max(1, batches // 4)
    run(settled)
    before = _used(field.device)
    run(batches - settled)
    growth = _used(field.device) - before
    return {
        "batches": batches,
        "settled_after": settled,
        "used_mb": before / 1e6,
        "growth_mb": growth / 1e6,
        "met": growth <= GROWTH_BYTES,
    }


def agreement(encoder: Encoder, texts: list[str], exact: NDArray[np.float32]) -> dict[str, Any]:
    """Cosines of the first texts to float32 on a CPU, and of each text alone to itself in a batch."""
    texts = texts[: len(exact)]
    vectors = encoder.encode(texts)
    agreed = parity.compare(vectors, exact[: len(texts)])
    few = texts[:100]
    alone = parity.compare(np.concatenate([encoder.encode([text]) for text in few]), vectors[: len(few)])
    found = {
        "mean_cosine": agreed.mean_cosine,
        "min_cosine": agreed.min_cosine,
        "alone_and_in_company": alone.min_cosine,
    }
    # A cosine of 0.999997 would be written as 1.
    figures = {f"one_minus_{name}": 1 - cosine for name, cosine in found.items()}
    return {**figures, "sentences": len(texts), "met": all(found[name] >= least for name, least in LEAST.items())}


def spearman(encoder: Encoder, exact: float, folder: Path) -> dict[str, Any]:
    """The average of STS tasks here and in float32 on a CPU, and the loss."""
    average = measure(read_tasks(folder), encoder.encode).average
    return {"average": average, "fp32": exact, "loss": exact - average, "met": exact - average <= MOST_SPEARMAN_LOSS}


def placement(artifact: Path, device: str) -> dict[str, Any]:
    """How many nodes of the graph each provider has, and which ones are not on the device."""
    ort = import_runtime()
    options = settings(1)
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    provider = CPU if device == "cpu" else CUDA
    # Not strict, so that a node that would go to the CPU is listed instead of an error raised.
    session = open_graph(artifact / GRAPH, options, provider, device=device)
    nodes = collections.Counter()
    elsewhere = []
    for part in session.get_provider_graph_assignment_info():
        assigned = part.get_nodes()
        nodes[part.ep_name] += len(assigned)
        if part.ep_name != provider:
            elsewhere += [node.op_type for node in assigned]
    return {"onnxruntime": ort.__version__, "nodes": dict(nodes), "elsewhere": elsewhere, "met": not elsewhere}


def threads(encoder: Encoder, texts: list[str], *, count: int = 8) -> dict[str, Any]:
    """Cosines of many threads' vectors, bulk and single sentences at once, to those of one thread."""
    shares = [texts[start::count] for start in range(count)]

    def encode(number: int) -> np.ndarray:
        share = shares[number]
        if number % 2:
            return np.concatenate([encoder.encode([text]) for text in share[:200]])
        return encoder.encode(share)

    with ThreadPoolExecutor(count) as pool:
        together = list(pool.map(encode, range(count)))
    alone = [encoder.encode(share[: len(each)]) for share, each in zip(shares, together, strict=True)]
    least = parity.compare(np.concatenate(together), np.concatenate(alone)).min_cosine
    return {"threads": count, "one_minus_min_cosine": 1 - least, "met": least >= LEAST["alone_and_in_company"]}


def _used(device: str) -> int:
    """The GPU's memory that is in use, by any process."""
    if device == "cpu":
        return 0
    free, total = CudaRuntime(int(device.partition(":")[2] or 0)).memory_bytes()
    return total - free


def verified(artifact: Path, device: str) -> dict[str, Any]:
    """The artifact's own check texts; what passes on the device is recorded in the manifest."""
    with Encoder(artifact, device=device) as encoder:
        agreed = parity.verify(encoder, artifact)
        if device != "cpu":
            parity.record(artifact, Manifest.read(artifact), agreed)
    return {**agreed.to_json(), "met": True}
