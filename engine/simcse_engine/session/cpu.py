"""A session on the CPU."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..artifact.manifest import GRAPH
from ..errors import IntegrityError
from .feeds import FEEDS
from .graph import check_interface, open_graph, settings
from .library import CPU, first_line
from .session import Session


class CpuSession(Session):
    """One graph on the CPU."""

    def __init__(
        self, artifact: Path, *, threads: int = 1, layout: str = "ragged", padding_id: int | None = None
    ) -> None:
        """Open the graph of the artifact in ``artifact``; ``layout`` and ``padding_id`` are its manifest's."""
        self._graph = artifact / GRAPH
        super().__init__(open_graph(self._graph, settings(threads), CPU, device="cpu"))
        check_interface(self._session, self._graph, layout)
        self._feed = FEEDS[layout]
        self._padding_id = padding_id

    def run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Session`."""
        try:
            vectors: NDArray[np.float32] = self._session.run(None, self._feed(input_ids, lengths, self._padding_id))[0]
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise IntegrityError(
                f"{self._graph}: onnxruntime cannot run it on {len(lengths)} sentences of up to {lengths.max()} "
                f"tokens: {first_line(error)}; export again"
            ) from error
        return vectors
