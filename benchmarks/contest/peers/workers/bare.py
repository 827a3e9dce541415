"""The floor: an artifact of ours opened with the runtime's and the tokenizer's own libraries alone."""

import numpy as np
import onnxruntime
import tokenizers
from numpy.typing import NDArray

from .protocol import Encode, Load


def load(load: Load) -> Encode:
    tokenizer = tokenizers.Tokenizer.from_file(f"{load.model}/tokenizer.json")
    session = onnxruntime.InferenceSession(f"{load.model}/model.onnx", providers=["CPUExecutionProvider"])

    def encode(texts: list[str]) -> NDArray[np.float32]:
        ids = [tokenizer.encode(text).ids for text in texts]
        each = ({"input_ids": np.array(one), "lengths": np.array([len(one)])} for one in ids)
        return np.concatenate([session.run(None, inputs)[0] for inputs in each])

    return encode
