"""FastEmbed, with texts sorted by their characters: it pads each batch to its longest, and takes no token ids."""

import functools

import numpy as np
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from numpy.typing import NDArray

from .grid import Pooling, longest_first
from .protocol import Encode, Load

_NAME = "local/model"


@functools.cache
def register(pooler: str) -> bool:
    """Make the model known, once; whether FastEmbed pools and scales by itself."""
    complete = pooler == "avg"
    # It has no head, so its user applies that to the first token's bare state.
    TextEmbedding.add_custom_model(
        _NAME,
        pooling=PoolingType.MEAN if complete else PoolingType.CLS,
        normalization=complete,
        sources=ModelSource(hf=_NAME),
        dim=0,
        model_file="model.onnx",
    )
    return complete


def load(load: Load) -> Encode:
    complete = register(load.pooler)
    pooling = Pooling(load)
    model = TextEmbedding(
        _NAME, specific_model_path=load.model, local_files_only=True, threads=load.setting.threads, cuda=False
    )

    def encode(texts: list[str]) -> NDArray[np.float32]:
        vectors = np.array(list(model.embed(texts, batch_size=load.setting.batch)))
        return vectors if complete else pooling.head(vectors)

    return lambda texts: longest_first(encode, texts)
