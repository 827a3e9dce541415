"""Forms of vectors, compared with what they say of themselves, and through an encoder."""

import argparse
import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import Manifest
from simcse_engine.cli.arguments import add_form_options
from simcse_engine.errors import InputTypeError, InputValueError
from simcse_engine.files.blocks import WHOLE
from simcse_engine.forms import DType, VectorForm, unit

TEXTS = ["A man plays a guitar.", "", "Someone makes music.", "A man plays a guitar."]


@pytest.fixture(scope="module")
def manifest(artifact: Path) -> Manifest:
    return Manifest.read(artifact)


@pytest.fixture(scope="module")
def vectors(manifest: Manifest) -> np.ndarray:
    rows = np.random.default_rng(0).standard_normal((64, manifest.dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_cut_has_unit_length_again(manifest: Manifest, vectors: np.ndarray) -> None:
    made = VectorForm.of(manifest, 8).apply(vectors)
    expected = vectors[:, :8] / np.linalg.norm(vectors[:, :8], axis=1, keepdims=True)
    np.testing.assert_allclose(made, expected, atol=1e-6)
    unnormalized = VectorForm.of(replace(manifest, normalized=False), 8).apply(vectors)
    np.testing.assert_array_equal(unnormalized, vectors[:, :8])


def test_zeros_have_no_direction() -> None:
    made = unit(np.array([[0, 0], [3, 4]], np.float32))
    assert made.tolist() == [[0, 0], [np.float32(0.6), np.float32(0.8)]]
    assert made.dtype == np.float32


def test_numbers_of_cut_vectors_fit_into_8_bits(manifest: Manifest, vectors: np.ndarray) -> None:
    stated = replace(manifest, output_range=float(np.abs(vectors).max()))
    whole = VectorForm.of(stated, 8, "int8")
    np.testing.assert_allclose(
        whole.apply(vectors) * (whole.limit / 127),
        VectorForm.of(stated, 8).apply(vectors),
        atol=whole.limit / 254 + 1e-6,
    )
    # Where vectors are not normalized, a cut leaves their numbers as they are.
    as_they_are = VectorForm.of(replace(stated, normalized=False), 8, "int8")
    np.testing.assert_array_equal(as_they_are.apply(vectors), VectorForm.of(stated, dtype="int8").apply(vectors)[:, :8])


def test_int8_is_a_scale(manifest: Manifest, vectors: np.ndarray) -> None:
    limit = float(np.abs(vectors).max())
    stated = replace(manifest, output_range=limit)
    whole = VectorForm.of(stated, dtype="int8").apply(vectors)
    assert whole.dtype == np.int8
    assert np.abs(whole.astype(int)).max() == 127
    np.testing.assert_allclose(whole * (limit / 127), vectors, atol=limit / 254 + 1e-6)
    shifted = VectorForm.of(stated, dtype="uint8").apply(vectors)
    np.testing.assert_array_equal(shifted.astype(int) - 128, whole)
    # Nothing wraps around beyond the range.
    beyond = VectorForm.of(replace(manifest, output_range=limit / 10), dtype="int8").apply(vectors)
    np.testing.assert_array_equal(np.sign(beyond), np.sign(np.rint(vectors * 1270 / limit)))


def test_bits_are_those_of_packbits(manifest: Manifest, vectors: np.ndarray) -> None:
    bits = VectorForm.of(manifest, 12, "ubinary").apply(vectors)
    assert (bits.dtype, bits.shape) == (np.uint8, (64, 2))
    np.testing.assert_array_equal(np.unpackbits(bits, axis=1)[:, :12], vectors[:, :12] > 0)
    np.testing.assert_array_equal(VectorForm.of(manifest, 12, "binary").apply(vectors), bits.astype(int) - 128)


def test_the_types_are_the_same_everywhere() -> None:
    parser = argparse.ArgumentParser()
    add_form_options(parser)
    choices = next(action.choices for action in parser._actions if action.dest == "dtype")
    assert choices == get_args(DType)
    assert ("float32", "float16", *WHOLE) == get_args(DType)


@pytest.mark.parametrize("dtype", get_args(DType))
@pytest.mark.parametrize("dimensions", [None, 12])
def test_through_an_encoder(artifact: Path, dtype: DType, dimensions: int | None) -> None:
    with Encoder(artifact) as encoder:
        form = VectorForm.of(encoder.manifest, dimensions, dtype)
        expected = form.apply(encoder.encode(TEXTS))
        made = encoder.encode(TEXTS, dimensions=dimensions, dtype=dtype)
        assert (made.dtype, made.shape) == (form.numpy, (4, form.columns))
        # Numbers of 8 bits may differ by a step, where a float differs in its last bit.
        np.testing.assert_allclose(made.astype(float), expected.astype(float), atol=1 if form.limit else 1e-3)
        streamed = np.concatenate(list(encoder.stream(iter(TEXTS), dimensions=dimensions, dtype=dtype)))
        np.testing.assert_allclose(streamed.astype(float), expected.astype(float), atol=1 if form.limit else 1e-3)
        assert encoder.encode([], dimensions=dimensions, dtype=dtype).shape == (0, form.columns)


def test_what_cannot_be(manifest: Manifest) -> None:
    with pytest.raises(InputValueError, match="dimensions=33: the vectors have 32, and can only be cut"):
        VectorForm.of(manifest, 33)
    with pytest.raises(InputValueError, match="dimensions=0: expected at least 1"):
        VectorForm.of(manifest, 0)
    with pytest.raises(InputTypeError, match="dimensions='8'"):
        VectorForm.of(manifest, "8")  # type: ignore[arg-type]
    with pytest.raises(InputValueError, match="dtype='int4': choose 'float32', "):
        VectorForm.of(manifest, dtype="int4")  # type: ignore[arg-type]
    with pytest.raises(InputValueError, match="dtype='int8': the artifact does not state its vectors' range"):
        VectorForm.of(replace(manifest, output_range=None), dtype="int8")


def test_a_stream_in_another_form_may_be_left(artifact: Path) -> None:
    def texts() -> Iterator[str]:
        try:
            while True:
                yield "a man"
        finally:
            ended.append(True)

    ended: list[bool] = []
    with Encoder(artifact) as encoder:
        stream = encoder.stream(texts(), dtype="int8")
        assert next(stream).dtype == np.int8
        stream.close()  # type: ignore[attr-defined]
        del stream
        gc.collect()
        assert ended == [True]
