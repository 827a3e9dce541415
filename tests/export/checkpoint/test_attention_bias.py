"""Biases of attention by distance, against transformers' own buckets."""

import numpy as np
import torch
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

from simcse_export.checkpoint.attention_bias import by_distance, by_place


def test_the_buckets_are_those_of_transformers() -> None:
    longest = 700
    table = np.arange(64, dtype=np.float32).reshape(32, 2)
    distances = torch.arange(1 - longest, longest)
    expected = table[MPNetEncoder.relative_position_bucket(distances).numpy()].T
    np.testing.assert_array_equal(by_distance(table, longest), expected)


def test_what_is_added_to_a_text_of_any_length() -> None:
    table = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    bias = by_distance(table, 200)
    for length in (1, 2, 17, 199, 200):
        places = torch.arange(length)
        buckets = MPNetEncoder.relative_position_bucket(places[None, :] - places[:, None])
        np.testing.assert_array_equal(by_place(bias, length), table[buckets.numpy()].transpose(2, 0, 1))
