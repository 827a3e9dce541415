"""What the peers' graphs share: a way to search, and a graph that is built once and kept with what it took."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .data import Data, Vectors


@dataclass(frozen=True)
class Way:
    """A way to search.

    Attributes:
        search: what is timed: from queries [n, dimension] to an answer of its own kind.
        rows: from such an answer to the rows of the K nearest, [n, K].
    """

    search: Callable[[Vectors], Any]
    rows: Callable[[Any], NDArray[Any]]


# Candidates that a graph looks at, so that contestants can be compared at equal recall.
WIDTHS = (32, 64, 96, 128, 192, 256, 512)
# FAISS and hnswlib call them M and efConstruction.
NEIGHBOURS, CANDIDATES_TO_ADD = 32, 128


def absent(package: str, facts: dict[str, Any]) -> dict[str, Way]:
    """No ways; and that a peer is not there, for who reads the result."""
    facts.setdefault("absent", {})[package] = "it is not installed"
    print(f"absent: {package}: it is not installed; pip install {package}")
    return {}


def kept(
    data: Data, name: str, build: Callable[[Vectors], Any], save: Callable[[Any, str], Any]
) -> tuple[Path, dict[str, Any]]:
    """The file of a peer's graph of all vectors, and what it took to build; built where it is missing."""
    path, facts_file = data.folder / name, data.folder / f"{name}.json"
    if not facts_file.is_file():
        start, cpu = time.perf_counter(), time.process_time()
        graph = build(data.vectors)
        facts = {"build_seconds": time.perf_counter() - start, "build_cpu_seconds": time.process_time() - cpu}
        save(graph, str(path))
        facts["bytes_a_vector"] = path.stat().st_size / len(data.vectors)
        facts_file.write_text(json.dumps(facts), encoding="utf-8")
        print(f"{name}: {facts}", flush=True)
    return path, json.loads(facts_file.read_text(encoding="utf-8"))
