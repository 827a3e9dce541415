"""The reference that all vectors are checked against: transformers in float32, one text at a time."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from ...inputs import Model


@torch.inference_mode()
def reference_vectors(model: Model, texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors of texts."""
    folder = model.checkpoint()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    network = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    rows = []
    for text in texts:
        output = network(**tokenizer(text, return_tensors="pt"))
        # pooler_output is the first token through the trained head.
        row = output.last_hidden_state.mean(1) if model.pooler == "avg" else output.pooler_output
        rows.append(torch.nn.functional.normalize(row, dim=1).numpy())
    return np.concatenate(rows)


def largest_cosine_difference(vectors: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """1 - cosine of the pair that agrees least."""
    a, b = vectors.astype(np.float64), reference.astype(np.float64)
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return float(1 - cosines.min())
