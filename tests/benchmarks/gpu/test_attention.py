"""Attention over sentences that lie end to end."""

import torch
from benchmarks.gpu.attention import end_to_end


def test_sentences_attend_to_themselves_alone() -> None:
    torch.manual_seed(0)
    lengths = [3, 1, 5]
    query, key, value = torch.randn(3, sum(lengths), 2, 4)
    cumulative = torch.tensor([0, 3, 4, 9], dtype=torch.int32)
    found = end_to_end(query, key, value, cumulative, max(lengths))
    for start, length in zip(cumulative.tolist(), lengths, strict=False):
        each = slice(start, start + length)
        scores = torch.einsum("qhd,khd->hqk", query[each], key[each]) / 2
        expected = torch.einsum("hqk,khd->qhd", scores.softmax(-1), value[each])
        torch.testing.assert_close(found[each], expected)
