"""A session on the CPU."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..artifact.manifest import GRAPH
from .feeds import FEEDS
from .graph import open_graph, settings
from .library import CPU
from .session import Session


class CpuSession(Session):
    """One graph on the CPU."""

    def __init__(
        self, artifact: Path, *, threads: int = 1, layout: str = "ragged", padding_id: int | None = None
    ) -> None:
        """Open the graph of the artifact in ``artifact``; ``layout`` and ``padding_id`` are its manifest's."""
        super().__init__(open_graph(artifact / GRAPH, settings(threads), CPU, device="cpu"))
        self._feed = FEEDS[layout]
        self._padding_id = padding_id

    def run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Session`."""
        vectors: NDArray[np.float32] = self._session.run(None, self._feed(input_ids, lengths, self._padding_id))[0]
        return vectors
