"""What every session can do: run one graph on one device, whichever provider runs it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..machine.device import Device


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """How a session runs.

    Attributes:
        device: "cpu", "cuda" or "cuda:N".
        threads: threads that share one run's work on the CPU, the caller's among them.
    """

    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        Device.parse(self.device)

    @property
    def device_index(self) -> int:
        """Its index among the devices of its kind."""
        return Device.parse(self.device).index


class Session(Protocol):
    """One graph on one device; `run` may be called from many threads at once."""

    @property
    def dimension(self) -> int:
        """Floats per vector, as the graph states it."""

    def run(self, input_ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """Run the graph on sentences laid end to end.

        Args:
            input_ids: [tokens], the token ids of all sentences, one after the other, special tokens included.
            lengths: [sentences], the tokens of each sentence, at least 1; they add up to ``tokens``.

        Returns:
            float32 [sentences, dimension].
        """

    def abandon(self) -> None:
        """Never destroy this session. For a forked child, which has the session but not its threads.

        The destructor would wait for ever for threads that did not survive the fork.
        """
