"""ONNX Runtime as most people write it: optimum's model class, the tokenizer's own padding, then pooling."""

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from optimum.onnxruntime import ORTModelForFeatureExtraction
from transformers import AutoTokenizer

from .grid import MAX_TOKENS, Pooling, longest_first
from .protocol import Encode, Load


def load(load: Load) -> Encode:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = load.setting.threads
    model = ORTModelForFeatureExtraction.from_pretrained(
        load.model,
        file_name="model.onnx",
        provider="CPUExecutionProvider",
        session_options=options,
        local_files_only=True,
    )
    tokenizer = AutoTokenizer.from_pretrained(load.folder, local_files_only=True)
    pooling = Pooling(load)

    def run(texts: list[str]) -> NDArray[np.float32]:
        batch = tokenizer(texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="np")
        return pooling.pool(model(**batch).last_hidden_state, batch["attention_mask"])

    def encode(texts: list[str]) -> NDArray[np.float32]:
        starts = range(0, len(texts), load.setting.batch)
        return np.concatenate([run(texts[start : start + load.setting.batch]) for start in starts])

    return lambda texts: longest_first(encode, texts)
