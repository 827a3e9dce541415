"""Is what a GPU computes right, all of it on the GPU, and no hungrier with time? Asked of one artifact."""

import collections
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import GRAPH, Manifest
from simcse_engine.measure import parity
from simcse_engine.measure.quality import measure
from simcse_engine.measure.sts import read_tasks
from simcse_engine.session.cuda.cudart import CudaRuntime
from simcse_engine.session.graph import open_graph, settings
from simcse_engine.session.library import CPU, CUDA, import_runtime

LEAST = {"mean_cosine": 0.99999, "min_cosine": 0.9999, "alone_and_in_company": 0.99999}
MOST_SPEARMAN_LOSS = 0.02

# Memory that the driver itself takes for kernels it had not loaded, and rounding by its pages.
GROWTH_BYTES = 64 << 20


def agreement(encoder: Encoder, exact: Encoder, texts: list[str]) -> dict[str, Any]:
    """Cosines to float32 on a CPU, and of each text alone to itself in company."""
    vectors = encoder.encode(texts)
    found = parity.compare(vectors, exact.encode(texts))
    few = texts[:100]
    alone = parity.compare(np.concatenate([encoder.encode([text]) for text in few]), vectors[: len(few)])
    figures = {
        "mean_cosine": found.mean_cosine,
        "min_cosine": found.min_cosine,
        "alone_and_in_company": alone.min_cosine,
    }
    return {**figures, "sentences": len(texts), "met": all(figures[name] >= least for name, least in LEAST.items())}


def spearman(encoder: Encoder, exact: Encoder, folder: Path) -> dict[str, Any]:
    """What either reaches on STS tasks, and the loss of their average."""
    tasks = read_tasks(folder)
    ours, theirs = (measure(tasks, each.encode) for each in (encoder, exact))
    loss = theirs.average - ours.average
    return {"average": ours.average, "fp32": theirs.average, "loss": loss, "met": loss <= MOST_SPEARMAN_LOSS}


def placement(artifact: Path, device: str) -> dict[str, Any]:
    """How many nodes of the graph each provider was given, and which ones another got than the device's."""
    ort = import_runtime()
    made = settings(1)
    made.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    provider = CPU if device == "cpu" else CUDA
    # Without strictness, so that a node that would go to the CPU is seen, and not just an error.
    session = open_graph(artifact / GRAPH, made, provider, device=device)
    nodes = collections.Counter()
    elsewhere = []
    for part in session.get_provider_graph_assignment_info():
        given = part.get_nodes()
        nodes[part.ep_name] += len(given)
        if part.ep_name != provider:
            elsewhere += [node.op_type for node in given]
    return {"onnxruntime": ort.__version__, "nodes": dict(nodes), "elsewhere": elsewhere, "met": not elsewhere}


def threads(encoder: Encoder, texts: list[str], *, count: int = 8) -> dict[str, Any]:
    """Cosines of what many threads get that ask at once, bulk and single sentences, to what one alone gets."""
    shares = [texts[start::count] for start in range(count)]

    def ask(number: int) -> np.ndarray:
        share = shares[number]
        if number % 2:
            return np.concatenate([encoder.encode([text]) for text in share[:200]])
        return encoder.encode(share)

    with ThreadPoolExecutor(count) as pool:
        found = list(pool.map(ask, range(count)))
    alone = [encoder.encode(share[: len(each)]) for share, each in zip(shares, found, strict=True)]
    least = parity.compare(np.concatenate(found), np.concatenate(alone)).min_cosine
    return {"threads": count, "min_cosine": least, "met": least >= LEAST["alone_and_in_company"]}


def memory(encoder: Encoder, *, batches: int, device: str) -> dict[str, Any]:
    """Whether the GPU's memory grows over many batches of varied sizes and lengths."""
    draw = np.random.default_rng(0)
    runner = encoder._runner

    def run(count: int) -> None:
        for _ in range(count):
            lengths = draw.integers(3, encoder.max_tokens + 1, int(draw.integers(1, 200)))
            ids = [draw.integers(1000, 20_000, length).tolist() for length in lengths]
            runner.submit(ids).write(np.empty((len(ids), encoder.dimension), np.float32))

    # The runtime takes memory in growing pieces, the last of them for the least likely mixture.
    settled = max(1, batches // 4)
    run(settled)
    before = _used(device)
    run(batches - settled)
    growth = _used(device) - before
    return {
        "batches": batches,
        "settled_after": settled,
        "used_mb": before / 1e6,
        "growth_mb": growth / 1e6,
        "met": growth <= GROWTH_BYTES,
    }


def _used(device: str) -> int:
    """The GPU's memory that is taken, whoever took it."""
    if device == "cpu":
        return 0
    free, total = CudaRuntime(int(device.partition(":")[2] or 0)).memory_bytes()
    return total - free


def verified(artifact: Path, device: str) -> dict[str, Any]:
    """The artifact's own check texts; what passes on the device is recorded in the manifest."""
    with Encoder(artifact, device=device) as encoder:
        found = parity.verify(encoder, artifact)
        if device != "cpu":
            parity.record(artifact, Manifest.read(artifact), found)
    return {**found.to_json(), "met": True}
