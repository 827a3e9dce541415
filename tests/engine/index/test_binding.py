"""An index takes vectors of its own artifact, and says what to do about others."""

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from simcse_engine import Encoder, Index
from simcse_engine.artifact.manifest import Manifest
from simcse_engine.errors import ArtifactNotFoundError, IndexMismatchError
from simcse_export import ExportOptions, export
from support.child import run_script
from support.hubs import NOWHERE, fill_cache, hub_of
from support.indexes import unit_vectors


@pytest.fixture(scope="module")
def others(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("others")
    export(checkpoint, folder / "avg", ExportOptions(pooler="avg", max_tokens=32))
    export(checkpoint, folder / "long", ExportOptions(pooler="cls", max_tokens=32, normalize=False))
    # The same model in another export, as another precision would be: what the identity holds differs, the model not.
    export(checkpoint, folder / "twin", ExportOptions(pooler="cls", max_tokens=32))
    graph = folder / "twin/model.onnx"
    graph.write_bytes(graph.read_bytes() + b"\x32\x00")
    manifest = Manifest.read(folder / "twin")
    facts = {name: getattr(manifest, name) for name in manifest.__dataclass_fields__ if name != "files"}
    Manifest.describe(folder / "twin", **facts).write(folder / "twin")
    return folder


def test_another_model(tmp_path: Path, artifact: Path, others: Path) -> None:
    Index.create(tmp_path / "index", artifact).close()
    for same_model in (False, True):
        with pytest.raises(IndexMismatchError, match="of another model, pooler"):
            Index.open(tmp_path / "index", artifact=others / "avg", same_model=same_model)
    with Encoder(others / "avg") as encoder:
        with pytest.raises(IndexMismatchError):
            Index.open(tmp_path / "index", artifact=encoder)
        with (
            Index.open(tmp_path / "index") as index,
            pytest.raises(IndexMismatchError, match="of another model, pooler"),
        ):
            index.check_encoder(encoder)
    Index.open(tmp_path / "index").close()


def test_the_same_model(tmp_path: Path, artifact: Path, others: Path) -> None:
    with Index.create(tmp_path / "index", artifact) as index:
        index.add(["a man"])
    with pytest.raises(IndexMismatchError, match="same_model=True"):
        Index.open(tmp_path / "index", artifact=others / "twin")
    with Index.open(tmp_path / "index", artifact=others / "twin", same_model=True) as index:
        assert index.search(["a man"])[0][0].score == pytest.approx(1, abs=1e-6)
        twin = Manifest.read(others / "twin").identity
        assert twin != index.about.identity
        index.add_vectors(unit_vectors(1), ["b"], identity=twin)
    with Index.open(tmp_path / "index", same_model=True) as index, pytest.raises(IndexMismatchError):
        index.add_vectors(unit_vectors(1), ["b"], identity=twin)


def test_the_artifact_is_another_one_now(tmp_path: Path, artifact_copy: Path, others: Path) -> None:
    with Index.create(tmp_path / "index", artifact_copy) as index:
        index.add(["a man"])
    shutil.rmtree(artifact_copy)
    with Index.open(tmp_path / "index") as index:
        # Vectors and keys can be asked for without it.
        assert index.get([0])[0].text == "a man"  # type: ignore[union-attr]
        assert len(index.search(unit_vectors(1))[0]) == 1
        with pytest.raises(ArtifactNotFoundError, match=r"not where it was .*artifact=…"):
            index.search(["a man"])
    shutil.copytree(others / "avg", artifact_copy)
    with Index.open(tmp_path / "index") as index:
        with pytest.raises(IndexMismatchError):
            index.search(["a man"])
        with pytest.raises(IndexMismatchError):
            index.add(["a man"])


def test_an_artifact_that_has_moved(tmp_path: Path, artifact_copy: Path) -> None:
    with Index.create(tmp_path / "index", artifact_copy) as index:
        index.add(["a man"])
    moved = artifact_copy.rename(tmp_path / "moved")
    with Index.open(tmp_path / "index", artifact=moved) as index:
        assert index.search(["a man"])[0][0].score == 1.0


def test_an_encoder_that_cuts_sooner(tmp_path: Path, artifact: Path) -> None:
    Index.create(tmp_path / "index", artifact).close()
    with Encoder(artifact, max_tokens=7) as encoder, pytest.raises(IndexMismatchError, match="cuts at 7"):
        Index.open(tmp_path / "index", artifact=encoder)


def test_vectors_of_any_length_become_unit(tmp_path: Path, others: Path) -> None:
    texts = ["a man plays", "a cat", "the dog"]
    with Encoder(others / "long") as encoder, Index.create(tmp_path / "index", encoder) as index:
        vectors = encoder.encode(texts)
        assert np.abs(np.linalg.norm(vectors, axis=1) - 1).min() > 0.01
        index.add(texts)
        for i, hits in enumerate(index.search(texts, k=3)):
            assert (hits[0].key, hits[0].score) == (i, 1.0)
            for hit in hits:
                cosine = vectors[i] @ vectors[hit.key] / np.linalg.norm(vectors[i]) / np.linalg.norm(vectors[hit.key])
                assert hit.score == pytest.approx(cosine, abs=1e-6)


def test_identity_of_vectors(tmp_path: Path, artifact: Path) -> None:
    with Index.create(tmp_path / "index", artifact) as index:
        identity = index.about.identity
        assert identity == Manifest.read(artifact).identity
        index.add_vectors(unit_vectors(1), ["a"], identity=identity)
        with pytest.raises(IndexMismatchError, match="are of artifact 000000000000"):
            index.add_vectors(unit_vectors(1), ["a"], identity="0" * 64)
        with pytest.raises(IndexMismatchError, match="dimension 5"):
            index.add_vectors(np.ones((1, 5)), ["a"])
        with pytest.raises(IndexMismatchError, match="dimension 5"):
            index.search(np.ones((1, 5)))
        assert len(index) == 1


def remember(folder: Path, artifact: Path | str) -> None:
    """Make an index remember another artifact's place."""
    with contextlib.closing(sqlite3.connect(folder / "index.db")) as connection:
        (about,) = connection.execute("SELECT content FROM about").fetchone()
        about = json.dumps({**json.loads(about), "artifact": str(artifact)})
        connection.execute("UPDATE about SET content = ?", (about,))
        connection.commit()


# Prints what became of a search; nothing may be asked of any network, and of an artifact only its manifest be read.
SEARCH = """
    import sys

    def forbid(event, arguments):
        if event.startswith("socket.") and event != "socket.__new__":
            raise AssertionError(f"{event} {arguments}")

    sys.addaudithook(forbid)
    from simcse_engine import Index
    from simcse_engine.errors import SimCSEError
    with Index.open(sys.argv[1]) as index:
        try:
            print(index.search(["a man"])[0][0].text)
        except SimCSEError as error:
            print(f"{type(error).__name__}: {error}")
            assert "onnxruntime" not in sys.modules
"""


def test_a_remembered_hub_id_is_not_fetched(tmp_path: Path, artifact: Path) -> None:
    with Index.create(tmp_path / "index", artifact) as index:
        index.add(["a man"])
    remember(tmp_path / "index", "user/name")
    with hub_of(artifact) as hub:
        settings = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url}
        said = run_script(SEARCH, tmp_path / "index", **settings)
        assert said.startswith("ArtifactNotFoundError: ")
        assert "user/name: it is not in the hub's cache here); open the index with artifact=" in said
        fill_cache(tmp_path / "home", artifact)
        assert run_script(SEARCH, tmp_path / "index", **settings) == "a man\n"
        assert hub.asked == []


def test_another_artifact_is_refused_before_it_is_loaded(tmp_path: Path, artifact: Path, others: Path) -> None:
    """Its graph and tokenizer would not load, of which nobody hears."""
    with Index.create(tmp_path / "index", artifact) as index:
        index.add(["a man"])
    shutil.copytree(others / "avg", tmp_path / "other")
    for name in ("model.onnx", "tokenizer.json"):
        path = tmp_path / "other" / name
        path.write_bytes(b"x" * path.stat().st_size)
    fill_cache(tmp_path / "home", tmp_path / "other")
    settings = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": NOWHERE}
    for place in (tmp_path / "other", "user/name"):
        remember(tmp_path / "index", place)
        assert run_script(SEARCH, tmp_path / "index", **settings).startswith("IndexMismatchError: ")


def test_of_a_given_hub_id_the_manifest_is_compared_first(tmp_path: Path, artifact: Path, others: Path) -> None:
    Index.create(tmp_path / "index", artifact).close()
    script = """
        import sys
        from simcse_engine import Index
        from simcse_engine.errors import IndexMismatchError
        try:
            Index.open(sys.argv[1], artifact="user/name")
        except IndexMismatchError:
            print("refused")
    """
    with hub_of(others / "avg") as hub:
        settings = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        assert run_script(script, tmp_path / "index", **settings) == "refused\n"
        assert hub.fetched == ["manifest.json"]
