"""What every session can do: run one graph on one device, whichever provider runs it."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..machine.forks import ProcessBound

if TYPE_CHECKING:
    import onnxruntime


class Session(ProcessBound, ABC):
    """One graph on one device; `run` may be called from many threads at once."""

    def __init__(self, session: "onnxruntime.InferenceSession") -> None:
        self._session = session

    @property
    def dimension(self) -> int:
        """Floats per vector, as the graph states it."""
        return int(self._session.get_outputs()[0].shape[1])

    def shared_by(self, threads: int) -> "Session | None":  # noqa: ARG002 - as others
        """The same graph, its runs shared by so many threads; None where that takes a session of its own."""
        return None

    @abstractmethod
    def run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64], skipped: int = 0) -> NDArray[np.float32]:
        """Run the graph on sentences laid end to end.

        Args:
            input_ids: [tokens], the token ids of all sentences, one after the other, special tokens included.
            lengths: [sentences], the tokens of each sentence, at least 1; they add up to ``tokens``.
            skipped: how many first tokens of each sentence, a prompt's, pooling leaves out; only graphs of artifacts
                without ``include_prompt`` heed it.

        Returns:
            float32 [sentences, dimension].
        """
