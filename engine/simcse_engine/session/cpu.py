"""A session on the CPU."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..artifact.manifest import GRAPH
from ..machine.forks import never_destroy
from .feeds import FEEDS
from .graph import open_graph, settings
from .library import CPU
from .session import SessionOptions


class CpuSession:
    """One graph on the CPU; see `Session`."""

    def __init__(
        self, artifact: Path, options: SessionOptions, *, layout: str = "ragged", padding_id: int | None = None
    ) -> None:
        """Open the graph of the artifact in ``artifact``.

        Args:
            artifact: its folder.
            options: its threads.
            layout: the manifest's: how the graph takes sentences.
            padding_id: the manifest's: how positions count.

        Raises:
            RuntimeMissingError: no onnxruntime, or two of them.
            ProviderError: this onnxruntime's CPU provider does not load.
            IntegrityError: the runtime cannot read the graph.
        """
        self._session = open_graph(artifact / GRAPH, settings(options.threads), CPU, device=options.device)
        self._feed = FEEDS[layout]
        self._padding_id = padding_id

    @property
    def dimension(self) -> int:
        """See `Session`."""
        return int(self._session.get_outputs()[0].shape[1])

    def run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Session`."""
        vectors: NDArray[np.float32] = self._session.run(None, self._feed(input_ids, lengths, self._padding_id))[0]
        return vectors

    def abandon(self) -> None:
        """See `Session`."""
        never_destroy(self._session)
