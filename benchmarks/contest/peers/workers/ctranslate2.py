"""CTranslate2's encoder, whose replicas take batches from threads."""

from concurrent.futures import ThreadPoolExecutor

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from .grid import Pooling, Texts, batches, unit
from .protocol import Encode, Load


class CTranslate2:
    """A loaded encoder."""

    def __init__(self, load: Load) -> None:
        if load.precision not in ctranslate2.get_supported_compute_types("cpu"):
            # It would take another one and say nothing.
            raise ValueError(f"it does not compute in {load.precision} on this CPU")
        self._load = load
        self._encoder = ctranslate2.Encoder(
            load.model,
            "cpu",
            compute_type=load.precision,
            inter_threads=load.setting.workers,
            intra_threads=load.setting.threads,
        )
        self._texts, self._pooling = Texts(load.folder), Pooling(load)
        # One more than there are replicas: Python pools for one batch while the others run.
        self._threads = ThreadPoolExecutor(load.setting.workers + 1)

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Texts to vectors."""
        ids = self._texts.ids(texts)
        parts = list(batches(ids, self._load))
        inputs = [[ids[row] for row in rows] for rows in parts]
        outputs = map(self._run, inputs) if len(inputs) == 1 else self._threads.map(self._run, inputs)
        vectors = np.concatenate(list(outputs))
        out = np.empty_like(vectors)
        out[[row for rows in parts for row in rows]] = vectors
        return out

    def _run(self, ids: list[list[int]]) -> NDArray[np.float32]:
        output = self._encoder.forward_batch(ids)
        if self._load.pooler == "cls":
            # The head is part of its model.
            return unit(np.asarray(output.pooler_output))
        states = np.asarray(output.last_hidden_state)
        lengths = np.array([len(each) for each in ids])
        return self._pooling.pool(states, (np.arange(states.shape[1]) < lengths[:, None]).astype(np.int64))


def load(load: Load) -> Encode:
    return CTranslate2(load).encode
