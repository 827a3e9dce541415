"""Peers compute the model's vectors, padded and not."""

import time

import numpy as np
import pytest
import torch
from benchmarks.gpu.field import OURS, Field
from benchmarks.gpu.peers import COMPILED, PEERS, Options, Torch


@pytest.mark.parametrize("unpadded", [False, True], ids=["padded", "unpadded"])
def test_transformers_gives_the_references_vectors(field: Field, unpadded: bool) -> None:
    prepared = field.prepared
    peer = Torch(prepared.checkpoint, prepared.pooler, "cpu", Options(dtype=torch.float32, unpadded=unpadded))
    texts, expected = field.texts[:30], field.reference.vectors
    np.testing.assert_allclose(peer.encode(texts), expected, atol=1e-5)
    # In batches of a few sentences.
    peer.size = 64
    np.testing.assert_allclose(peer.encode(texts), expected, atol=1e-5)
    np.testing.assert_allclose(peer.encode_ids(field.ids()), expected[: field.work.sentences], atol=1e-5)


@pytest.mark.parametrize("unpadded", [False, True], ids=["padded", "unpadded"])
def test_means_of_tokens(field: Field, unpadded: bool) -> None:
    peer = Torch(field.prepared.checkpoint, "avg", "cpu", Options(dtype=torch.float32, unpadded=unpadded))
    texts = field.texts[:5]
    alone = [peer.encode([text])[0] for text in texts]
    np.testing.assert_allclose(peer.encode(texts), alone, atol=1e-5)


def test_a_peer_that_cannot_be_loaded_is_absent_with_its_reason(field: Field) -> None:
    def load(*_: object) -> Torch:
        raise RuntimeError("no such kernel\nat line 3")

    contestants = field.contestants({"torch-fp16": PEERS["torch-fp16"], "broken": load})
    assert contestants.keys() == {OURS, "torch-fp16"}
    assert field.absent == {"broken": "RuntimeError: no such kernel"}
    assert field.facts(contestants)["attention"] == {"torch-fp16": "sdpa"}


def test_a_peer_takes_the_fastest_size_of_batches(field: Field) -> None:
    class Peer:
        sizes = (1, 2, 4)
        size, attention = 1, "none"

        def encode(self, texts: list[str]) -> np.ndarray:
            time.sleep(0 if self.size == 2 else 0.05)
            return field.reference.vectors[: len(texts)]

    contestants = field.contestants({"peer": lambda *_: Peer()})
    assert field.facts(contestants)["batch_size"] == {"peer": 2}


def test_a_peer_with_other_vectors_is_absent(field: Field) -> None:
    class Other:
        def encode(self, texts: list[str]) -> np.ndarray:
            return np.eye(len(texts), field.ours.encoder.dimension, dtype=np.float32)

    assert field.contestants({"other": lambda *_: Other()}).keys() == {OURS}
    assert field.absent["other"].startswith("other vectors than the reference's")


def test_names() -> None:
    assert "sentence-transformers-unpadded-fp16" in PEERS
    assert "torch-unpadded-fp16-compiled" in COMPILED
    assert not PEERS.keys() & COMPILED.keys()
