"""Attention of transformers' models over sentences that lie end to end: nothing is padded.

With flash-attn installed, transformers documents ``attn_implementation="flash_attention_2"``. Without it the kernel is
torch's own of FlashAttention, ``torch.nn.attention.varlen``, registered here under a name of ours. On a CPU, which has
neither, a mask keeps sentences apart: slow, to try a run.
"""

from typing import Any

import torch
from transformers import AttentionInterface
from transformers.utils import is_flash_attn_2_available

_NAME = "torch_varlen"


def implementation(device: str) -> str:
    """The name of the best implementation here, for ``attn_implementation``."""
    if device != "cpu" and is_flash_attn_2_available():
        return "flash_attention_2"
    AttentionInterface.register(_NAME, _attend)
    return _NAME


def end_to_end(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, cumulative: torch.Tensor, longest: int
) -> torch.Tensor:
    """Attention of each sentence's tokens to each other, with the usual scale of 1/√size.

    Args:
        query: [tokens, heads, size], as are key and value.
        key: of all sentences.
        value: of all sentences.
        cumulative: int32 [sentences + 1], where each sentence begins, and the number of tokens.
        longest: tokens of the longest sentence.
    """
    if query.is_cuda:
        from torch.nn.attention.varlen import varlen_attn

        return varlen_attn(query, key, value, cumulative, cumulative, longest, longest)
    sentence = torch.bucketize(torch.arange(len(query)), cumulative[1:], right=True)
    together = sentence[:, None] == sentence[None, :]
    heads_first = (each.transpose(0, 1)[None] for each in (query, key, value))
    return torch.nn.functional.scaled_dot_product_attention(*heads_first, attn_mask=together)[0].transpose(0, 1)


def _attend(
    module: torch.nn.Module,  # noqa: ARG001 - as transformers calls it
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001
    *,
    cu_seq_lens_q: torch.Tensor,
    max_length_q: int,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    rows = (each.transpose(1, 2).flatten(0, 1) for each in (query, key, value))
    return end_to_end(*rows, cu_seq_lens_q, max_length_q)[None], None
