"""The peers on a GPU: transformers on torch, in half precisions and compiled, and sentence-transformers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from ..contest.peers.models import sentence_folder
from ..contest.peers.workers.grid import MAX_TOKENS, inputs
from ..inputs import Model


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How torch runs the model.

    Attributes:
        dtype: of weights and activations.
        compiled: by `torch.compile`, for any shape.
        batch_tokens: places of a padded batch, at most.
    """

    dtype: torch.dtype
    compiled: bool = False
    batch_tokens: int = 16_384


class Torch:
    """A checkpoint run by transformers with SDPA attention, sorted by length, pooled and scaled to unit length."""

    def __init__(self, checkpoint: Path, pooler: str, setting: Setting, device: str) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
        model = AutoModel.from_pretrained(
            checkpoint, local_files_only=True, attn_implementation="sdpa", torch_dtype=setting.dtype
        )
        model = model.to(device).eval()
        self._run = torch.compile(model, dynamic=True) if setting.compiled else model
        self._mean = pooler == "avg"
        self._setting = setting
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
            size = max(1, self._setting.batch_tokens // longest)
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


class SentenceTransformer:
    """The same checkpoint in sentence-transformers, with its own sorting and batches."""

    def __init__(self, folder: Path, device: str, *, dtype: torch.dtype, batch: int = 256) -> None:
        """Load a folder with sentence-transformers' modules, pooler included."""
        from sentence_transformers import SentenceTransformer as Library

        self._model = Library(str(folder), device=device, local_files_only=True, model_kwargs={"torch_dtype": dtype})
        self._batch = batch

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts → vectors."""
        vectors: NDArray[np.float32] = self._model.encode(
            list(texts), batch_size=self._batch, show_progress_bar=False, convert_to_numpy=True
        )
        return vectors


def field(model: Model, device: str) -> dict[str, Callable[[], Torch | SentenceTransformer]]:
    """All peers by name; each is loaded when called, which may fail."""
    half = torch.float16
    settings = {"torch-fp16": Setting(dtype=half), "torch-bf16": Setting(dtype=torch.bfloat16)}
    if device != "cpu":  # for a CPU it takes a compiler and minutes
        settings["torch-fp16-compiled"] = Setting(dtype=half, compiled=True)
    peers: dict[str, Callable[[], Torch | SentenceTransformer]] = {
        name: partial(Torch, model.checkpoint(), model.pooler, setting, device) for name, setting in settings.items()
    }
    peers["sentence-transformers-fp16"] = partial(SentenceTransformer, sentence_folder(model), device, dtype=half)
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
