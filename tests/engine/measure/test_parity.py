"""Parity is measured right, and nothing passes that should not."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import CHECK, Manifest
from simcse_engine.artifact.parts import FileEntry
from simcse_engine.errors import IntegrityError, ParityError
from simcse_engine.measure import parity
from simcse_engine.measure.parity import Parity, compare, load_check, save_check, verify

Vectors = NDArray[np.float32]


def unit(seed: int = 0, rows: int = 8) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(rows, 32))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_equal_vectors() -> None:
    measured = compare(unit(), unit())
    assert measured == Parity(
        vectors=8,
        max_abs_difference=0,
        min_cosine=pytest.approx(1, abs=1e-12),
        mean_cosine=pytest.approx(1, abs=1e-12),
        max_norm_error=0,
    )
    measured.require("fp32")


def test_by_hand() -> None:
    ours = np.array([[1, 0], [0.6, 0.8]], np.float32)
    theirs = np.array([[0, 2], [0.6, 0.8]], np.float32)
    measured = compare(ours, theirs)
    assert measured.to_json() == {
        "vectors": 2,
        "max_abs_difference": 1.0,
        "min_cosine": 0.0,
        "mean_cosine": pytest.approx(0.5),
        "max_norm_error": 0.5,
    }


def test_inputs_stay_as_they_are() -> None:
    ours, theirs = 3 * unit(), unit(1)
    compare(ours, theirs)
    np.testing.assert_array_equal(ours, 3 * unit())
    np.testing.assert_array_equal(theirs, unit(1))


@given(scale=st.floats(1e-3, 1e3))
def test_unnormalized_vectors_are_compared_as_unit_vectors(scale: float) -> None:
    scaled = (unit() * scale).astype(np.float32)
    both = compare(scaled, scaled)
    assert both.max_abs_difference == 0
    both.require("fp32")
    one = compare(scaled, unit())
    assert one.max_abs_difference < 1e-6
    assert one.max_norm_error == pytest.approx(abs(scale - 1), abs=1e-4 * scale)


def test_another_length_is_a_fault() -> None:
    with pytest.raises(ParityError, match=r"relative error of a vector's length 0.01 > 0.0001 \(fp32\)"):
        compare((unit() * 1.01).astype(np.float32), unit()).require("fp32")


@pytest.mark.parametrize("row", [0, 3, 7])
def test_a_single_component_is_a_fault(row: int) -> None:
    ours = unit()
    ours[row, 5] += 4e-6
    with pytest.raises(ParityError, match=r"max abs difference [34]\S*e-06 > 2e-06"):
        compare(ours, unit()).require("fp32")
    ours[row, 5] = unit()[row, 5] + 5e-7
    compare(ours, unit()).require("fp32")


def test_the_cosine_is_a_fault() -> None:
    ours = unit()
    ours[2] = -ours[2]
    with pytest.raises(ParityError, match=r"cosine -1\.0000000 < 0\.999999"):
        compare(ours, unit()).require("fp32")


def test_swapped_rows_are_a_fault() -> None:
    with pytest.raises(ParityError):
        compare(unit()[::-1], unit()).require("fp32")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_what_is_no_number_is_a_fault(value: float, side: int) -> None:
    both = [unit(), unit()]
    both[side][3, 4] = value
    with pytest.raises(ParityError, match="max abs difference nan"):
        compare(both[0], both[1]).require("fp32")


@pytest.mark.parametrize("side", [0, 1])
def test_a_vector_of_zeros_is_a_fault(side: int) -> None:
    both = [unit(), unit()]
    both[side][3] = 0
    with pytest.raises(ParityError):
        compare(both[0], both[1]).require("fp32")


def test_every_fault_is_told() -> None:
    bad = Parity(vectors=1, max_abs_difference=1, min_cosine=0, mean_cosine=0, max_norm_error=1)
    with pytest.raises(ParityError, match=r"max abs difference 1 > .*, cosine 0.0000000 < .*, relative error .* 1 > "):
        bad.require("fp32")


def test_unknown_precision() -> None:
    with pytest.raises(ParityError, match="no limit for precision 'fp7'; upgrade simcse-engine"):
        compare(unit(), unit()).require("fp7")


@given(texts=st.lists(st.text(), min_size=1, max_size=8))
def test_texts_are_kept_as_they_are(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("check")
    texts = [*texts, "", "trailing\0\0", "\r\n", " "]
    save_check(folder, texts, unit(rows=len(texts)))
    read, vectors = load_check(folder)
    assert read == texts
    np.testing.assert_array_equal(vectors, unit(rows=len(texts)))
    assert vectors.dtype == np.float32


def test_verify_passes_and_gives_the_manifest_s_figures(artifact: Path) -> None:
    with Encoder(artifact) as encoder:
        measured = verify(encoder, artifact)
        stated = encoder.manifest.parity
    texts, _ = load_check(artifact)
    # In one call and one by one.
    assert measured.vectors == 2 * len(texts)
    assert measured.max_abs_difference <= parity.LIMITS["fp32"].max_abs_difference
    assert measured.min_cosine >= parity.LIMITS["fp32"].min_cosine
    assert stated is not None
    assert sorted(measured.to_json()) == sorted(stated)
    # A check that compares the encoder with itself would find nothing at all.
    assert measured.max_abs_difference > 0


def test_verify_where_texts_are_cut_by_the_encoder_s_own_limit(artifact: Path) -> None:
    with Encoder(artifact, max_tokens=6) as encoder, pytest.raises(ParityError):
        verify(encoder, artifact)


def rewrite_check(folder: Path, change: Callable[[list[str], Vectors], tuple[list[str], Vectors]]) -> None:
    """Change what the artifact is checked against, with a manifest that fits."""
    save_check(folder, *change(*load_check(folder)))
    stamp_check(folder)


def stamp_check(folder: Path) -> None:
    manifest = Manifest.read(folder)
    dataclasses.replace(manifest, files={**manifest.files, CHECK: FileEntry.of(folder / CHECK)}).write(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda texts, vectors: (texts, -vectors),
        lambda texts, vectors: (texts, vectors[::-1]),
        lambda texts, vectors: (texts, vectors * np.float32(1.001)),
        lambda texts, vectors: (texts, vectors + np.float32(1e-5) * (np.arange(32) == 7)),
        lambda texts, vectors: (texts, np.full_like(vectors, np.nan)),
        lambda texts, vectors: (["another text", *texts[1:]], vectors),
        lambda texts, vectors: ([*texts[:-1], "another text"], vectors),
    ],
)
def test_verify_fails(artifact_copy: Path, change: Callable[[list[str], Vectors], tuple[list[str], Vectors]]) -> None:
    rewrite_check(artifact_copy, change)
    with Encoder(artifact_copy) as encoder, pytest.raises(ParityError, match="vectors differ from the reference"):
        verify(encoder, artifact_copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda texts, vectors: (texts[:-1], vectors),
        lambda texts, vectors: (texts, vectors[:-1]),
        lambda texts, vectors: (texts, vectors[:, :-1]),
        lambda texts, vectors: (texts, vectors[:, 0]),
        lambda texts, vectors: (texts[:0], vectors[:0]),
    ],
)
def test_a_check_of_another_shape(
    artifact_copy: Path, change: Callable[[list[str], Vectors], tuple[list[str], Vectors]]
) -> None:
    rewrite_check(artifact_copy, change)
    with Encoder(artifact_copy) as encoder, pytest.raises(IntegrityError, match=r"check\.npz: .*; export again"):
        verify(encoder, artifact_copy)


def test_broken_check(artifact: Path, tmp_path: Path) -> None:
    content = (artifact / CHECK).read_bytes()
    flipped = [content[:i] + bytes([content[i] ^ 0xFF]) + content[i + 1 :] for i in range(0, 300, 7)]
    whole = len(flipped)
    for broken in (b"", b"PK", b"no zip", content[:100], content[: len(content) // 2], content[:-1], *flipped):
        (tmp_path / CHECK).write_bytes(broken)
        try:
            load_check(tmp_path)
        except IntegrityError as error:
            assert "check.npz: cannot be read" in str(error)  # noqa: PT017
        else:
            # Some bytes of a zip mean nothing, such as times.
            whole -= 1
    assert whole > len(flipped) / 2


def test_check_of_other_content(tmp_path: Path) -> None:
    def refused() -> bool:
        with pytest.raises(IntegrityError, match=r"check\.npz: cannot be read .*; export again"):
            load_check(tmp_path)
        return True

    assert refused()
    with (tmp_path / CHECK).open("wb") as file:
        np.save(file, unit())
    assert refused()
    np.savez(tmp_path / CHECK, vectors=unit())
    assert refused()
    np.savez(tmp_path / CHECK, texts=np.frombuffer(b"[", np.uint8), vectors=unit())
    assert refused()
    np.savez(tmp_path / CHECK, texts=np.frombuffer(json.dumps(["a"]).encode(), np.uint8))
    assert refused()
    # Pickled objects would run code.
    np.savez(tmp_path / CHECK, texts=np.array([object()]), vectors=unit())
    assert refused()
    np.savez(tmp_path / CHECK, texts=np.frombuffer(b"[]", np.uint8), vectors=np.array([{}]))
    assert refused()
    for texts in (b'["\\ud800"]', b"[1]", b'{"a": "b"}', b'"ab"', b"null"):
        np.savez(tmp_path / CHECK, texts=np.frombuffer(texts, np.uint8), vectors=unit())
        assert refused()
    for odd in (unit().astype("U9"), unit().astype(complex), unit().astype("M8[s]"), unit()[0]):
        np.savez(tmp_path / CHECK, texts=np.frombuffer(b'["a"]', np.uint8), vectors=odd)
        assert refused()


def test_behind_a_whitening_or_a_head_rounding_is_enlarged() -> None:
    bad = dataclasses.replace(compare(unit(), unit()), max_abs_difference=1e-5)
    for kind in ("whitening", "head"):
        bad.require("fp32", {"tail": [{"kind": "unit"}, {"kind": kind}]})
    for architecture in ({}, {"tail": [{"kind": "dense"}]}):
        with pytest.raises(ParityError, match="1e-05 > 2e-06"):
            bad.require("fp32", architecture)
    with pytest.raises(ParityError, match="3e-05 > 2e-05"):
        dataclasses.replace(bad, max_abs_difference=3e-5).require("fp32", {"tail": [{"kind": "head"}]})
