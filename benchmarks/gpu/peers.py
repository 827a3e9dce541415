"""The peers on a GPU: transformers on torch, and sentence-transformers, in half precisions, padded and not."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from ..contest.peers.workers.grid import MAX_TOKENS, inputs
from . import attention

# Sizes of batches, of which each peer takes the fastest: tokens, padding included, and for sentence-transformers
# sentences.
BATCH_TOKENS, BATCH = (16_384, 65_536), (256, 1024)

Ids = Sequence[list[int]]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a peer runs."""

    dtype: torch.dtype
    unpadded: bool = False
    compiled: bool = False


class Torch:
    """A checkpoint run by transformers, sorted by length, pooled and scaled to unit length.

    Padded it takes SDPA attention; unpadded, sentences lie end to end, see `attention`. Compiled it goes through
    `torch.compile`, for any shape.

    Attributes:
        attention: its implementation, by transformers' name.
        size: most tokens of a batch, one of `sizes`.
    """

    sizes = BATCH_TOKENS

    def __init__(self, checkpoint: Path, pooler: str, device: str, options: Options) -> None:
        self.size = self.sizes[0]
        self.attention = attention.implementation(device) if options.unpadded else "sdpa"
        self._tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
        self._network = AutoModel.from_pretrained(
            checkpoint, local_files_only=True, attn_implementation=self.attention, dtype=options.dtype
        )
        self._network = self._network.to(device).eval()
        self._run = torch.compile(self._network, dynamic=True) if options.compiled else self._network
        self._mean = pooler == "avg"
        self._device = device
        self._batch = self._unpadded if options.unpadded else self._padded
        self._unpads = options.unpadded

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts → vectors."""
        return self.encode_ids(self._tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)["input_ids"])

    @torch.inference_mode()
    def encode_ids(self, ids: Ids) -> NDArray[np.float32]:
        """Token ids → vectors."""
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]), reverse=True)
        parts = [self._batch([ids[i] for i in batch]) for batch in self._batches(order, ids)]
        vectors = torch.nn.functional.normalize(torch.cat(parts).float(), dim=1).cpu().numpy()
        out = np.empty_like(vectors)
        out[order] = vectors
        return out

    def _batches(self, order: Sequence[int], ids: Ids) -> Iterator[list[int]]:
        batch: list[int] = []
        places = 0
        for i in order:
            # The longest come first.
            more = len(ids[i]) if self._unpads or not batch else len(ids[batch[0]])
            if batch and places + more > self.size:
                yield batch
                batch, places, more = [], 0, len(ids[i])
            batch.append(i)
            places += more
        yield batch

    def _padded(self, ids: list[list[int]]) -> torch.Tensor:
        arrays = inputs(ids)
        input_ids, mask = (self._sent(arrays[name]) for name in ("input_ids", "attention_mask"))
        output = self._run(input_ids=input_ids, attention_mask=mask)
        if not self._mean:
            return output.pooler_output
        weights = mask.unsqueeze(2).to(output.last_hidden_state.dtype)
        return (output.last_hidden_state * weights).sum(1) / weights.sum(1)

    def _unpadded(self, ids: list[list[int]]) -> torch.Tensor:
        lengths = np.array([len(sentence) for sentence in ids])
        total, longest = int(lengths.sum()), int(lengths.max())
        ends = np.cumsum(lengths)
        flat = np.fromiter(chain.from_iterable(ids), np.int64, total)
        places = np.arange(total) - np.repeat(ends - lengths, lengths)
        cumulative = self._sent(np.append(0, ends).astype(np.int32))
        states = self._run(
            input_ids=self._sent(flat)[None],
            position_ids=self._sent(places)[None],
            cu_seq_lens_q=cumulative,
            cu_seq_lens_k=cumulative,
            max_length_q=longest,
            max_length_k=longest,
        ).last_hidden_state[0]
        if not self._mean:
            return self._network.pooler(states[cumulative[:-1].long()][:, None])
        sentence = self._sent(np.repeat(np.arange(len(ids)), lengths))
        sums = torch.zeros(len(ids), states.shape[1], dtype=torch.float32, device=states.device)
        # Scaled to unit length later, so the sum serves as well as the mean.
        return sums.index_add_(0, sentence, states.float())

    def _sent(self, array: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device)


class SentenceTransformers:
    """The same checkpoint in sentence-transformers, with its own sorting and batches.

    Unpadded is what its documentation advises for speed: FlashAttention, with which it lays sentences end to end by
    itself.

    Attributes:
        attention: its implementation, by transformers' name.
        size: sentences of a batch, one of `sizes`.
    """

    sizes = BATCH

    def __init__(self, checkpoint: Path, pooler: str, device: str, options: Options) -> None:  # noqa: ARG002 - the folder says it
        self.size = self.sizes[0]
        library = importlib.import_module("sentence_transformers")
        self.attention = attention.implementation(device) if options.unpadded else "sdpa"
        settings = {"dtype": options.dtype, "attn_implementation": self.attention}
        self._model = library.SentenceTransformer(
            str(checkpoint), device=device, local_files_only=True, model_kwargs=settings
        )
        if options.unpadded:
            _unpad(self._model[0], self.attention)
        if options.compiled:
            self._model.compile(dynamic=True)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts → vectors."""
        return self._model.encode(list(texts), batch_size=self.size, show_progress_bar=False, convert_to_numpy=True)


def _unpad(transformer: Any, implementation: str) -> None:
    """Let sentence-transformers lay sentences end to end; RuntimeError where it does not."""
    if implementation != "flash_attention_2":
        # What it asks before: whether attention is FlashAttention, with a function for sentences end to end.
        functions = (None, attention.end_to_end, None, None, None), (None, None)
        load = "transformers.modeling_flash_attention_utils.lazy_import_flash_attention"
        with (
            mock.patch.object(type(transformer), "_is_flash_attention_requested", return_value=True),
            mock.patch(load, return_value=functions),
        ):
            transformer.unpad_inputs = True
    if not getattr(transformer, "can_flatten_inputs", False):
        raise RuntimeError("this version of sentence-transformers pads its inputs here")


Load = Callable[[Path, str, str], Torch | SentenceTransformers]


def _row(kind: type, name: str, precision: str, **options: bool) -> tuple[str, Load]:
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}[precision]
    chosen = Options(dtype=dtype, **options)
    return f"{name}-{precision}{'-compiled' if chosen.compiled else ''}", partial(_load, kind, chosen)


def _load(kind: type, options: Options, checkpoint: Path, pooler: str, device: str) -> Torch | SentenceTransformers:
    return kind(checkpoint, pooler, device, options)


# By name; each is loaded by a checkpoint, its pooler and a device, which may fail.
PEERS: dict[str, Load] = dict(
    _row(kind, f"{name}{'-unpadded' if unpadded else ''}", precision, unpadded=unpadded)
    for kind, name in ((Torch, "torch"), (SentenceTransformers, "sentence-transformers"))
    for unpadded in (False, True)
    for precision in ("fp16", "bf16")
)
COMPILED: dict[str, Load] = dict(
    [
        _row(Torch, "torch-unpadded", "fp16", unpadded=True, compiled=True),
        _row(SentenceTransformers, "sentence-transformers-unpadded", "fp16", unpadded=True, compiled=True),
    ]
)
FURTHER_COMPILED: dict[str, Load] = dict(
    [
        _row(Torch, "torch-unpadded", "bf16", unpadded=True, compiled=True),
        _row(Torch, "torch", "fp16", compiled=True),
    ]
)
