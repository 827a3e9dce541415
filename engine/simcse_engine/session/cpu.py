"""A session on the CPU, in our kernels or in the runtime's operators."""

import copy
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..artifact.manifest import GRAPH
from ..errors import IntegrityError
from ..machine.kernels import VARIABLE, KernelLibrary, load_library
from .feeds import FEEDS, SKIPPED
from .graph import check_interface, open_graph, settings
from .library import CPU, first_line
from .session import Session


class CpuSession(Session):
    """One graph on the CPU."""

    def __init__(
        self,
        artifact: Path,
        *,
        threads: int = 1,
        layout: str = "ragged",
        padding_id: int | None = None,
        include_prompt: bool = True,
        variant: str | None = None,
        folding: bool = False,
    ) -> None:
        """Open the graph of the artifact in ``artifact``; ``layout``, ``padding_id`` and ``include_prompt`` are
        its manifest's.

        ``variant`` of our kernels runs it. They bring threads of their own, one team for all sessions of the process.
        Without one, ``folding`` is as in `settings`.
        """
        self._graph = artifact / GRAPH
        self._threads = threads
        self._kernels: KernelLibrary | None = None
        if variant is None:
            session_settings = settings(threads, folding=folding)
        else:
            session_settings = settings(threads=1)
            library = load_library()
            assert not isinstance(library, str), library  # whoever chose the variant has loaded it
            library.register(variant, session_settings)
            self._kernels = library
        try:
            super().__init__(open_graph(self._graph, session_settings, CPU, device="cpu"))
        except IntegrityError as error:
            if variant is None:
                raise
            raise IntegrityError(f"{error}; {VARIABLE}=none opens it without our kernels") from error
        check_interface(self._session, self._graph, layout, include_prompt=include_prompt)
        self._include_prompt = include_prompt
        self._feed = FEEDS[layout]
        self._padding_id = padding_id

    def shared_by(self, threads: int) -> Self | None:
        """See `Session`."""
        if self._kernels is None:
            return None
        other = copy.copy(self)
        other._threads = threads
        return other

    def run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64], skipped: int = 0) -> NDArray[np.float32]:
        """See `Session`."""
        if self._kernels is not None:
            self._kernels.share_among(self._threads)
        feed = self._feed(input_ids, lengths, self._padding_id)
        if not self._include_prompt:
            feed[SKIPPED] = np.array([skipped])
        try:
            vectors: NDArray[np.float32] = self._session.run(None, feed)[0]
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise IntegrityError(
                f"{self._graph}: onnxruntime cannot run it on {len(lengths)} sentences of up to {lengths.max()} "
                f"tokens: {first_line(error)}; export again"
            ) from error
        return vectors
