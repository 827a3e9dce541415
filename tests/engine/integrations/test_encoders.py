"""What adapters share: encoders that open when they are needed, once for all who share them."""

import asyncio
import gc
import json
import pickle
import shutil
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simcse_engine import Encoder, TruncationWarning
from simcse_engine.errors import ArtifactNotFoundError, IndexMismatchError, InputValueError, TruncationError
from simcse_engine.integrations.encoders import Embedder, floats
from support.child import run_script

TEXTS = ["A man plays a guitar.", "the cat is on the mat", "", "一个男人在弹吉他。"]
LONG = "guitar " * 200


class CountingEncoder(Encoder):
    """Counts the runs of concurrent calls."""

    runs = 0

    def run(self, ids: Sequence[list[int]], *, alone: bool, left_out: str = "") -> NDArray[np.float32]:
        self.runs += 1
        return super().run(ids, alone=alone, left_out=left_out)


@pytest.fixture
def counting(prompted: Path) -> Iterator[CountingEncoder]:
    with CountingEncoder(prompted, threads=1) as encoder:
        yield encoder


def test_vectors_are_the_encoders(prompted: Path, encoder: Encoder) -> None:
    whole, cut = Embedder(prompted), Embedder(encoder, dimensions=8)
    assert (whole.size, cut.size) == (encoder.dimension, 8)
    np.testing.assert_array_equal(whole.queries(TEXTS), encoder.encode_query(TEXTS))
    np.testing.assert_array_equal(whole.documents(TEXTS), encoder.encode_document(TEXTS))
    np.testing.assert_array_equal(cut.queries(TEXTS), encoder.encode_query(TEXTS, dimensions=8))
    vectors = asyncio.run(whole.queries_async(TEXTS)), asyncio.run(whole.documents_async(TEXTS))
    np.testing.assert_allclose(vectors, [encoder.encode_query(TEXTS), encoder.encode_document(TEXTS)], atol=1e-6)
    short = asyncio.run(cut.documents_async(TEXTS))
    np.testing.assert_allclose(short, encoder.encode_document(TEXTS, dimensions=8), atol=1e-6)


def test_floats_are_just_those_of_the_vectors(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS)
    listed = floats(vectors)
    assert {type(number) for row in listed for number in row} == {float}
    np.testing.assert_array_equal(np.array(listed), vectors.astype(np.float64))
    assert floats(encoder.encode([])) == []


def test_nothing_opens_before_it_is_needed(tmp_path: Path) -> None:
    embedder = Embedder(tmp_path / "nowhere", threads=1)
    assert embedder.artifact == str(tmp_path / "nowhere")
    with pytest.raises(ArtifactNotFoundError):
        embedder.open()


def test_those_of_one_artifact_and_options_share_an_encoder(prompted: Path, artifact: Path) -> None:
    first, second = Embedder(prompted, threads=1), Embedder(str(prompted), threads=1, dimensions=8)
    assert first.encoder is second.encoder
    assert Embedder(prompted, threads=2).encoder is not first.encoder
    assert Embedder(artifact, threads=1).encoder is not first.encoder


def test_threads_that_open_it_at_once_share_an_encoder(prompted: Path) -> None:
    embedders = [Embedder(prompted, threads=1, max_tokens=40) for _ in range(4)]
    threads = [threading.Thread(target=embedder.open) for embedder in embedders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(embedder.encoder) for embedder in embedders}) == 1


def test_an_encoder_is_freed_with_the_last_that_shares_it(prompted: Path) -> None:
    embedder = Embedder(prompted, threads=1, max_tokens=24)
    encoder = weakref.ref(embedder.encoder)
    asyncio.run(embedder.queries_async(TEXTS))
    del embedder
    gc.collect()
    assert encoder() is None


def test_one_that_somebody_has_closed_is_not_shared(prompted: Path) -> None:
    first = Embedder(prompted, threads=1, max_tokens=20)
    first.encoder.close()
    second = Embedder(prompted, threads=1, max_tokens=20)
    assert len(second.queries(TEXTS)) == len(TEXTS)
    assert Embedder(prompted, threads=1, max_tokens=20).encoder is second.encoder


def test_an_artifact_that_was_replaced_is_opened_anew(prompted: Path, artifact: Path, tmp_path: Path) -> None:
    folder = tmp_path / "artifact"
    shutil.copytree(prompted, folder)
    former = Embedder(folder).open()
    shutil.rmtree(folder)
    shutil.copytree(artifact, folder)
    assert Embedder(folder).encoder.manifest.identity != former.encoder.manifest.identity


def test_an_identity_is_kept_to(prompted: Path, artifact: Path, encoder: Encoder) -> None:
    config = Embedder(prompted, dimensions=8, truncate="silent").config()
    again = Embedder(**json.loads(json.dumps(config)))
    assert again.config() == config
    with pytest.raises(IndexMismatchError, match="take the artifact that they were made with"):
        Embedder(**{**config, "artifact": str(artifact)}).open()
    with pytest.raises(IndexMismatchError):
        Embedder(encoder, identity="0" * 64)


def test_a_path_holds_from_wherever_it_is_opened(
    prompted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prompted.parent)
    embedder = Embedder(prompted.name)
    monkeypatch.chdir(tmp_path)
    assert embedder.encoder.artifact == prompted


def test_a_hub_id_stays_one() -> None:
    assert Embedder("user/some-model@main").artifact == "user/some-model@main"


def test_it_can_be_pickled(prompted: Path) -> None:
    embedder = Embedder(prompted, threads=1, dimensions=8)
    asyncio.run(embedder.queries_async(TEXTS))
    copy = pickle.loads(pickle.dumps(embedder))
    assert copy.options == {"threads": 1}
    np.testing.assert_array_equal(copy.queries(TEXTS), embedder.queries(TEXTS))
    with Encoder(prompted, threads=1, max_tokens=24) as encoder:
        assert pickle.loads(pickle.dumps(Embedder(encoder))).encoder.max_tokens == 24


def test_an_open_encoder_takes_no_options(encoder: Encoder) -> None:
    with pytest.raises(InputValueError, match="threads, truncate: the encoder is open already"):
        Embedder(encoder, threads=1, truncate="error")


def test_concurrent_calls_share_runs(counting: CountingEncoder) -> None:
    embedder = Embedder(counting)
    texts = [f"the dog is walking {number}" for number in range(200)]

    async def ask() -> list[NDArray[np.float32]]:
        return await asyncio.gather(*(embedder.queries_async([text]) for text in texts))

    vectors = np.concatenate(asyncio.run(ask()))
    assert counting.runs < 50
    np.testing.assert_allclose(vectors, counting.encode_query(texts), atol=1e-6)


def test_long_texts_are_treated_alike(prompted: Path) -> None:
    with pytest.raises(TruncationError):
        asyncio.run(Embedder(prompted, truncate="error").queries_async([LONG]))
    with Encoder(prompted, truncate="error") as encoder, pytest.raises(TruncationError):
        asyncio.run(Embedder(encoder).documents_async([LONG]))
    with pytest.warns(TruncationWarning, match="1 of 1 texts"):
        asyncio.run(Embedder(prompted).queries_async([LONG]))
    asyncio.run(Embedder(prompted, truncate="silent").queries_async([LONG]))


def test_the_package_imports_no_framework() -> None:
    script = """
        import sys
        import simcse_engine
        assert "simcse_engine.integrations" not in sys.modules
        import simcse_engine.integrations.encoders
        known = {"chromadb", "haystack", "lancedb", "langchain_core", "llama_index", "mteb", "ray"}
        print(sorted(known & {name.split(".")[0] for name in sys.modules}))
    """
    assert run_script(script) == "[]\n"
