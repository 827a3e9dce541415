"""Whitening: what numpy makes of transformers' vectors, in every target, and refused where it cannot be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simcse_engine import Encoder
from simcse_engine.errors import CheckpointError, InputValueError
from simcse_export import ExportOptions, export
from support.checkpoints import make_checkpoint, make_sentence_transformers, write_json
from support.forward import TEXTS, assert_equal, forward
from support.maker import short_calibration


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short_calibration(tmp_path_factory)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("whitening") / "checkpoint", num_hidden_layers=1)


def options(corpus: Path, **others: object) -> ExportOptions:
    return ExportOptions(pooler="avg", whiten=corpus, **others)  # type: ignore[arg-type]


def lines(path: Path) -> list[str]:
    return [line for line in dict.fromkeys(path.read_text(encoding="utf-8").splitlines()) if line.strip()]


def whitened(vectors: NDArray[np.float32], of: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """What the paper's own code makes of vectors, by a singular value decomposition."""
    directions, variances, _ = np.linalg.svd(np.cov(of.T.astype(np.float64)))
    return (vectors - of.mean(0, dtype=np.float64)) @ (directions / np.sqrt(variances))[:, :count]


def tasks(corpus: Path, folder: Path) -> Path:
    """A folder with a task of 30 pairs of sentences of the corpus."""
    folder.mkdir()
    pairs = zip(lines(corpus)[:30], lines(corpus)[30:60], strict=True)
    rows = "\n".join(f"{i % 6}\t{a}\t{b}" for i, (a, b) in enumerate(pairs))
    (folder / "task.tsv").write_text(f"score\tsentence1\tsentence2\n{rows}\n", encoding="utf-8")
    return folder


def test_the_vectors_are_those_of_the_paper(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    manifest = export(checkpoint, tmp_path / "artifact", options(corpus, dimensions=12))
    assert manifest.dimension == 12
    of = forward(checkpoint, "avg", lines(corpus), normalize=False)
    expected = whitened(forward(checkpoint, "avg", normalize=False), of, 12)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    with Encoder(tmp_path / "artifact", truncate="silent") as encoder:
        vectors = encoder.encode(TEXTS)
    # A direction and its opposite are one.
    signs = np.sign((vectors * expected).sum(0))
    assert_equal(tmp_path / "artifact", (expected * signs).astype(np.float32), within=5e-6)


def test_the_corpus_becomes_white(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    manifest = export(checkpoint, tmp_path / "artifact", options(corpus, dimensions=20, normalize=False))
    assert manifest.dimension == 20
    with Encoder(tmp_path / "artifact", truncate="silent") as encoder:
        vectors = encoder.encode(lines(corpus)).astype(np.float64)
    np.testing.assert_allclose(np.cov(vectors.T), np.eye(20), atol=1e-3)
    np.testing.assert_allclose(vectors.mean(0), 0, atol=1e-3)


def test_what_the_manifest_says(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    plain = export(checkpoint, tmp_path / "plain", ExportOptions(pooler="avg"))
    few, more = (export(checkpoint, tmp_path / f"{count}", options(corpus, dimensions=count)) for count in (8, 20))
    (facts,) = few.architecture["tail"]
    assert facts["kind"] == "whitening"
    assert (facts["dimensions"], facts["sentences"], len(facts["corpus"])) == (8, len(lines(corpus)), 64)
    assert 0.3 < facts["variance"] < more.architecture["tail"][0]["variance"] < 1
    (tmp_path / "shorter.txt").write_text("\n".join(lines(corpus)[1:]), encoding="utf-8")
    shorter = export(checkpoint, tmp_path / "shorter", options(tmp_path / "shorter.txt", dimensions=8))
    for one in ("identity", "model"):
        assert len({getattr(manifest, one) for manifest in (plain, few, more, shorter)}) == 4
    again = export(checkpoint, tmp_path / "again", options(corpus, dimensions=8))
    assert (again.model, again.architecture) == (few.model, few.architecture)


@pytest.mark.parametrize(
    ("target", "precision"), [("cpu", "int8"), ("cuda", "fp32"), ("tensorrt", "fp32"), ("tensorrt", "int8")]
)
def test_every_target(checkpoint: Path, corpus: Path, tmp_path: Path, target: str, precision: str) -> None:
    calibration = corpus if precision == "int8" else None
    few = options(corpus, dimensions=3, target=target, precision=precision, calibration=calibration)
    manifest = export(checkpoint, tmp_path / "artifact", few)
    assert (manifest.dimension, manifest.architecture["tail"][0]["dimensions"]) == (3, 3)


@pytest.mark.transformers_4
def test_through_optimum(corpus: Path, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="electra", num_hidden_layers=1)
    manifest = export(checkpoint, tmp_path / "artifact", options(corpus, dimensions=6))
    assert (manifest.dimension, manifest.architecture["graph"]) == (6, "optimum")


def test_what_it_does_on_sts(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    scored = ExportOptions(pooler="avg", sts=tasks(corpus, tmp_path / "sts"))
    before = export(checkpoint, tmp_path / "before", scored).quality
    after = export(checkpoint, tmp_path / "after", replace(scored, whiten=corpus, dimensions=8)).quality
    assert before is not None
    assert after is not None
    assert after["sts_unwhitened"]["average"] == pytest.approx(before["sts"]["average"], abs=0.01)
    assert after["sts"] != before["sts"]


def test_a_folder_that_states_its_dimensions(corpus: Path, tmp_path: Path) -> None:
    folder = make_sentence_transformers(tmp_path / "folder", num_hidden_layers=1)
    write_json(folder / "config_sentence_transformers.json", {"truncate_dim": 5})
    manifest = export(folder, tmp_path / "artifact", ExportOptions(whiten=corpus))
    assert (manifest.dimension, manifest.architecture["tail"][-1]["dimensions"]) == (5, 5)
    assert "truncate_dim" not in manifest.architecture


def test_sentences_have_the_prompt_for_documents_and_unit_length(corpus: Path, tmp_path: Path) -> None:
    folder = make_sentence_transformers(tmp_path / "folder", num_hidden_layers=1)
    write_json(folder / "config_sentence_transformers.json", {"prompts": {"query": "a cat: ", "document": "the dog "}})
    manifest = export(folder, tmp_path / "artifact", ExportOptions(whiten=corpus, dimensions=12, normalize=False))
    assert [part["kind"] for part in manifest.architecture["tail"]] == ["unit", "whitening"]
    with Encoder(tmp_path / "artifact", truncate="silent") as encoder:
        vectors = encoder.encode_document(lines(corpus)).astype(np.float64)
    np.testing.assert_allclose(np.cov(vectors.T), np.eye(12), atol=1e-3)
    np.testing.assert_allclose(vectors.mean(0), 0, atol=1e-3)


@pytest.mark.parametrize("options", [{"target": "cuda"}, {"layout": "padded"}], ids=["cuda", "padded"])
def test_other_graphs_of_float32_are_scored_too(
    checkpoint: Path, corpus: Path, tmp_path: Path, options: dict[str, str]
) -> None:
    sts = tasks(corpus, tmp_path / "sts")
    few = ExportOptions(pooler="avg", whiten=corpus, dimensions=8, sts=sts, **options)  # type: ignore[arg-type]
    quality = export(checkpoint, tmp_path / "artifact", few).quality
    assert quality is not None
    assert quality.keys() == {"sts", "sts_unwhitened"}
    assert quality["sts"] != quality["sts_unwhitened"]


def test_dimensions_alone_are_the_first_ones(checkpoint: Path, tmp_path: Path) -> None:
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg", dimensions=7))
    assert (manifest.dimension, manifest.architecture["truncate_dim"]) == (7, 7)
    vectors = forward(checkpoint, "avg", normalize=False)[:, :7]
    assert_equal(tmp_path / "artifact", vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_what_cannot_be_whitened(checkpoint: Path, corpus: Path, tmp_path: Path) -> None:
    artifact = tmp_path / "artifact"
    # A layer norm without its weights has mean zero, so one direction of its 32 never varies.
    with pytest.raises(CheckpointError, match="vary in 31 of 32; choose dimensions=31 or fewer"):
        export(checkpoint, artifact, options(corpus, dimensions=32))
    with pytest.raises(CheckpointError, match=r"dimensions=33: checkpoint gives vectors of 32"):
        export(checkpoint, artifact, options(corpus, dimensions=33))
    with pytest.raises(InputValueError, match="dimensions=0: expected at least 1"):
        options(corpus, dimensions=0)
    wide = make_checkpoint(tmp_path / "wide", num_hidden_layers=1, hidden_size=96)
    (tmp_path / "few.txt").write_text("\n".join(lines(corpus)[:70]), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"more sentences than .* have dimensions: 70 distinct ones for 96"):
        export(wide, artifact, options(tmp_path / "few.txt"))
    (tmp_path / "few.txt").write_text("a\nb\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match="2 distinct lines; whitening needs 64"):
        export(checkpoint, artifact, options(tmp_path / "few.txt"))
    assert not artifact.exists()
