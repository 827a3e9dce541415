"""Infinity's engine from Python, on torch. It queues texts, sorts them by length and makes the batches."""

import numpy as np
import torch
from infinity_emb import EngineArgs, SyncEngineArray
from numpy.typing import NDArray

from .protocol import Encode, Load


def load(load: Load) -> Encode:
    torch.set_num_threads(load.setting.threads)
    # BetterTransformer is for transformers before 4.49; torch's own attention has taken its place.
    options = EngineArgs(
        model_name_or_path=load.model,
        batch_size=load.setting.batch,
        engine="torch",
        device="cpu",
        dtype=load.precision,
        bettertransformer=False,
        trust_remote_code=False,
    )
    engine = SyncEngineArray.from_args([options])

    def encode(texts: list[str]) -> NDArray[np.float32]:
        vectors, _ = engine.embed(model=load.model, sentences=texts).result()
        return np.stack(vectors)

    return encode
