"""The original: the `simcse` package on torch. It pads each batch to its longest, so texts come sorted by length."""

import numpy as np
import torch
from numpy.typing import NDArray
from simcse import SimCSE

from .grid import MAX_TOKENS, longest_first
from .protocol import Encode, Load


def load(load: Load) -> Encode:
    torch.set_num_threads(load.setting.threads)
    model = SimCSE(load.model, device="cpu", pooler=load.pooler)

    def encode(texts: list[str]) -> NDArray[np.float32]:
        return model.encode(texts, batch_size=load.setting.batch, max_length=MAX_TOKENS, return_numpy=True)

    return lambda texts: longest_first(encode, texts)
