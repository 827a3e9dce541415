"""The peers on a GPU: transformers on torch, in half precisions and compiled, and sentence-transformers."""

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from ..contest.peers.models import sentence_folder
from ..contest.peers.workers.grid import MAX_TOKENS, inputs
from ..inputs import Model

# Places of a padded batch, at most; and sentences of a batch of sentence-transformers.
BATCH_TOKENS, BATCH = 16_384, 256


class Torch:
    """A checkpoint run by transformers with SDPA attention, sorted by length, pooled and scaled to unit length."""

    def __init__(self, model: Model, device: str, dtype: torch.dtype, *, compiled: bool = False) -> None:
        """Load; ``compiled`` by `torch.compile`, for any shape."""
        checkpoint = model.checkpoint()
        self._tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
        network = AutoModel.from_pretrained(
            checkpoint, local_files_only=True, attn_implementation="sdpa", torch_dtype=dtype
        )
        network = network.to(device).eval()
        self._run = torch.compile(network, dynamic=True) if compiled else network
        self._mean = model.pooler == "avg"
        self._device = device

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts → vectors."""
        return self.encode_ids(self._tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)["input_ids"])

    @torch.inference_mode()
    def encode_ids(self, ids: Sequence[list[int]]) -> NDArray[np.float32]:
        """Token ids → vectors."""
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]), reverse=True)
        parts, start = [], 0
        while start < len(order):
            longest = len(ids[order[start]])
            size = max(1, BATCH_TOKENS // longest)
            parts.append(self._batch([ids[i] for i in order[start : start + size]]))
            start += size
        vectors = torch.cat(parts).float().cpu().numpy()
        out = np.empty_like(vectors)
        out[order] = vectors
        return out

    def _batch(self, ids: list[list[int]]) -> torch.Tensor:
        arrays = inputs(ids)
        input_ids, attention = (
            torch.from_numpy(arrays[name]).to(self._device) for name in ("input_ids", "attention_mask")
        )
        output = self._run(input_ids=input_ids, attention_mask=attention)
        if self._mean:
            weights = attention.unsqueeze(2).to(output.last_hidden_state.dtype)
            vectors = (output.last_hidden_state * weights).sum(1) / weights.sum(1)
        else:
            vectors = output.pooler_output
        return torch.nn.functional.normalize(vectors.float(), dim=1)


class SentenceTransformers:
    """The same checkpoint in sentence-transformers, with its own sorting and batches."""

    def __init__(self, model: Model, device: str, dtype: torch.dtype) -> None:
        from sentence_transformers import SentenceTransformer

        folder, options = str(sentence_folder(model)), {"torch_dtype": dtype}
        self._model = SentenceTransformer(folder, device=device, local_files_only=True, model_kwargs=options)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts → vectors."""
        return self._model.encode(list(texts), batch_size=BATCH, show_progress_bar=False, convert_to_numpy=True)


def field(model: Model, device: str) -> dict[str, Callable[[], Torch | SentenceTransformers]]:
    """All peers by name; each is loaded when called, which may fail."""
    peers: dict[str, Callable[[], Torch | SentenceTransformers]] = {
        "torch-fp16": partial(Torch, model, device, torch.float16),
        "torch-bf16": partial(Torch, model, device, torch.bfloat16),
        "sentence-transformers-fp16": partial(SentenceTransformers, model, device, torch.float16),
    }
    if device != "cpu":  # for a CPU it takes a compiler and minutes
        peers["torch-fp16-compiled"] = partial(Torch, model, device, torch.float16, compiled=True)
    return peers


def matrix_peak(device: str, *, size: int, seconds: float) -> float:
    """What torch's own product of two square float16 matrices reaches here, operations a second."""
    dtype = torch.float16 if device != "cpu" else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize(device)

    a @ b
    wait()
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(8):
            a @ b
        wait()
        done += 8
    return 2 * size**3 * done / (time.perf_counter() - start)


def device_name(device: str) -> str:
    """The GPU's name, as its driver has it; "cpu" without one."""
    return torch.cuda.get_device_name(device) if device != "cpu" else "cpu"
