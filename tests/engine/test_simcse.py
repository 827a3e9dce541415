"""The class that takes the place of `simcse.SimCSE`."""

import gzip
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Encoder, Index, SimCSE, TruncationWarning
from simcse_engine.errors import (
    ArtifactNotFoundError,
    ClosedError,
    IndexMismatchError,
    IndexNotFoundError,
    InputTypeError,
    InputValueError,
    OutputError,
    ProviderError,
    SearchIndexError,
)
from simcse_export import ExportOptions, export
from support.child import run_script

TEXTS = ["A man plays a guitar.", "the cat is on the mat", "", "some one is walking"]


@pytest.fixture
def model(artifact: Path) -> Iterator[SimCSE]:
    with SimCSE(artifact) as opened:
        yield opened


@pytest.fixture(scope="module")
def raw_artifact(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact") / "tiny-raw"
    export(checkpoint, folder, ExportOptions(pooler="cls", max_tokens=32, normalize=False))
    return folder


@pytest.fixture(scope="module")
def vectors(artifact: Path) -> np.ndarray:
    with Encoder(artifact) as encoder:
        return encoder.encode(TEXTS)


def test_shapes_of_encode(model: SimCSE, vectors: np.ndarray) -> None:
    assert np.allclose(model.encode(TEXTS), vectors, atol=1e-6)
    one = model.encode(TEXTS[0], return_numpy=True)
    assert one.shape == (32,)
    assert one.dtype == np.float32
    assert model.encode(TEXTS[0], keepdim=True).shape == (1, 32)
    assert model.encode(TEXTS[:1]).shape == (1, 32)
    assert model.encode([]).shape == (0, 32)
    assert model.encode(TEXTS, None, True, True, False, 64, 128).shape == (4, 32)
    with pytest.raises(InputTypeError):
        model.encode([3])  # type: ignore[list-item]


def test_length(model: SimCSE, artifact: Path) -> None:
    long = "the cat plays a guitar on the mat"
    with Encoder(artifact, max_tokens=5, truncate="silent") as encoder:
        expected = encoder.encode([long])[0]
    with pytest.warns(TruncationWarning, match="1 of 1 texts were longer than max_tokens=5"):
        assert np.allclose(model.encode(long, max_length=5), expected, atol=1e-6)
    with pytest.warns(TruncationWarning, match="max_tokens=6"):
        model.encode(long, max_length=6)
    with pytest.raises(InputValueError):
        model.encode(long, max_length=0)


def test_not_normalized(model: SimCSE, raw_artifact: Path) -> None:
    with SimCSE(raw_artifact) as raw:
        bare = raw.encode(TEXTS, normalize_to_unit=False)
        assert not np.allclose(np.linalg.norm(bare, axis=1), 1, atol=0.01)
        assert np.allclose(raw.encode(TEXTS), bare / np.linalg.norm(bare, axis=1, keepdims=True), atol=1e-6)
        assert raw.encode(TEXTS).dtype == np.float32
        raw.build_index(TEXTS)
        assert raw.search(TEXTS[0])[0] == (TEXTS[0], 1.0)
    with pytest.raises(InputValueError, match=r"simcse-export \S+ -o \S+-artifact --pooler cls --no-normalize"):
        model.encode(TEXTS, normalize_to_unit=False)


def test_shapes_of_similarity(model: SimCSE, vectors: np.ndarray) -> None:
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    one = model.similarity(TEXTS[0], TEXTS[1])
    assert type(one) is float
    assert one == pytest.approx(cosines[0, 1], abs=1e-6)
    for queries, keys, expected in (
        (TEXTS[0], TEXTS, cosines[0]),
        (TEXTS[0], TEXTS[:1], cosines[0, :1]),
        (TEXTS[:2], TEXTS[3], cosines[:2, 3:]),
        (TEXTS[:2], TEXTS, cosines[:2]),
        (TEXTS[0], 3 * vectors, cosines[0]),
        ([], TEXTS, cosines[:0]),
    ):
        found = model.similarity(queries, keys)
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.float32
        assert found.shape == expected.shape
        assert np.allclose(found, expected, atol=1e-6)
    assert model.similarity(TEXTS[0], vectors[1]) == pytest.approx(cosines[0, 1], abs=1e-6)


def test_keys_that_are_no_vectors(model: SimCSE) -> None:
    assert model.similarity("a", np.zeros((2, 32))).tolist() == [0, 0]
    with pytest.raises(InputValueError, match=r"\[2, 3\]"):
        model.similarity("a", np.zeros((2, 3)))
    with pytest.raises(InputTypeError):
        model.similarity("a", np.array(["b"]))


def test_search(model: SimCSE) -> None:
    given = list(TEXTS)
    model.build_index(given, use_faiss=False, faiss_fast=True, batch_size=2)
    found = model.search(TEXTS[1])
    assert found[0] == (TEXTS[1], 1.0)
    assert all(type(score) is float and score >= 0.6 for _, score in found)
    everything = model.search(TEXTS[1], threshold=-1, top_k=10)
    assert len(everything) == 4
    scores = [score for _, score in everything]
    assert scores == sorted(scores, reverse=True)
    # Inclusive, and heeded for lists too.
    least = scores[2]
    assert model.search([TEXTS[1]], threshold=least, top_k=10) == [everything[:3]]
    assert model.search(TEXTS[:2], threshold=-1, top_k=1) == [[(TEXTS[0], 1.0)], [(TEXTS[1], 1.0)]]
    assert model.search([]) == []
    model.add_to_index(["one man", TEXTS[1]])
    assert given == TEXTS
    assert model.search(TEXTS[1], top_k=2) == [(TEXTS[1], 1.0)] * 2
    model.build_index([])
    assert model.search("a") == []


def test_files(model: SimCSE, tmp_path: Path) -> None:
    file = tmp_path / "sentences.txt"
    file.write_bytes("\ufeffGröße  \r\n\r\nthe cat\u2028sat".encode())
    model.build_index(str(file))
    assert {text for text, _ in model.search("a", threshold=-1)} == {"Größe", "", "the cat\u2028sat"}
    model.add_to_index(file)
    assert len(model.search("a", threshold=-1, top_k=10)) == 6
    with pytest.raises(InputValueError, match="sentences are passed as a list"):
        model.build_index("A man plays a guitar.")
    file.write_bytes(b"\xff\xff")
    with pytest.raises(InputValueError, match="not UTF-8"):
        model.build_index(str(file))
    file.write_bytes("a".encode("utf-16"))
    with pytest.raises(InputValueError, match="is UTF-16"):
        model.build_index(str(file))
    (file.parent / "texts.txt.gz").write_bytes(gzip.compress(b"one\r\ntwo \n"))
    model.add_to_index(file.parent / "texts.txt.gz")
    assert {text for text, _ in model.search("a", threshold=-1, top_k=10)} >= {"one", "two"}
    with pytest.raises(InputTypeError):
        model.build_index(3)  # type: ignore[arg-type]
    # What was there is there still.
    assert len(model.search("a", threshold=-1, top_k=10)) == 8


def test_saved_and_loaded(model: SimCSE, artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(SearchIndexError, match="build_index"):
        model.search("a")
    with pytest.raises(SearchIndexError, match="build_index"):
        model.save_index(tmp_path / "index")
    model.build_index(TEXTS)
    before = model.search(TEXTS, threshold=-1)
    model.save_index(tmp_path / "index")
    assert model.search(TEXTS, threshold=-1) == before
    with pytest.raises(OutputError):
        model.save_index(tmp_path / "index")
    with pytest.raises(OutputError, match="lies within"):
        model.save_index(tmp_path / "index/again")
    with SimCSE(artifact) as other:
        other.load_index(str(tmp_path / "index"))
        assert other.search(TEXTS, threshold=-1) == before
        other.add_to_index(["one man"])
        # Both read the same folder.
        assert model.search("one man")[0] == ("one man", 1.0)
        other.save_index(tmp_path / "again")
        with pytest.raises(IndexNotFoundError):
            other.load_index(tmp_path / "none")
    with Index.open(tmp_path / "again", read_only=True) as index:
        assert len(index) == 5


def test_an_index_of_another_artifact(model: SimCSE, raw_artifact: Path, tmp_path: Path) -> None:
    Index.create(tmp_path / "index", raw_artifact).close()
    with pytest.raises(IndexMismatchError):
        model.load_index(tmp_path / "index")


def test_nothing_is_left(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = SimCSE(artifact)
    model.build_index(TEXTS)
    model.build_index(TEXTS)
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(InputTypeError):
        model.build_index([3])  # type: ignore[list-item]
    assert len(list(tmp_path.iterdir())) == 1
    child = os.fork()
    if not child:
        model.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert model.search(TEXTS[0])[0] == (TEXTS[0], 1.0)
    model.close()
    model.close()
    assert list(tmp_path.iterdir()) == []
    for call in (model.encode, model.search, model.build_index):
        with pytest.raises(ClosedError):
            call(["a"])


def test_poolers(artifact: Path) -> None:
    with SimCSE(artifact, pooler="cls") as model:
        assert model.pooler == "cls"
        assert model.device == "cpu"
    with pytest.raises(InputValueError, match=r"is 'cls', not 'avg'.*--pooler avg"):
        SimCSE(artifact, pooler="avg")


def test_devices(model: SimCSE) -> None:
    assert model.encode("a", device="cpu").shape == (32,)
    with pytest.raises(ProviderError, match="runs on cpu"):
        model.encode("a", device="cuda")


def test_a_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFoundError) as caught:
        SimCSE(checkpoint, pooler="avg")
    command = str(caught.value).splitlines()[-1].strip()
    assert command == f"simcse-export {checkpoint} -o tiny-bert-artifact --pooler avg"
    with pytest.raises(ArtifactNotFoundError, match="no"):
        SimCSE(tmp_path / "none")
    spaced = shutil.copytree(checkpoint, tmp_path / "my model")
    with pytest.raises(ArtifactNotFoundError, match=r"simcse-export '.*my model' -o 'my model-artifact' --pooler cls$"):
        SimCSE(spaced)


def test_a_checkpoint_on_the_hub(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simcse_engine.artifact.hub.fetch", lambda *_, **__: checkpoint)
    with pytest.raises(ArtifactNotFoundError) as caught:
        SimCSE("princeton-nlp/unsup-simcse@v1")
    assert str(caught.value).endswith(
        "simcse-export princeton-nlp/unsup-simcse -o unsup-simcse-artifact --revision v1 --pooler cls_before_pooler"
    )


def test_no_noise(model: SimCSE, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.build_index(TEXTS)
        model.search(TEXTS)
    assert capfd.readouterr() == ("", "")


def test_nowhere_to_build_an_index(artifact: Path) -> None:
    script = """
        import resource, sys
        from simcse_engine import SimCSE
        from simcse_engine.errors import OutputError
        simcse = SimCSE(sys.argv[1])
        # Python looks for a folder in which it can write a file.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        try:
            simcse.build_index(["a"])
        except OutputError as error:
            print("No usable temporary directory" in str(error))
    """
    assert run_script(script, artifact) == "True\n"
