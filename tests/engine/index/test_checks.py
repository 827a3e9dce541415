import math
from typing import Any

import numpy as np
import pytest

from simcse_engine.errors import IndexMismatchError, InputTypeError, InputValueError
from simcse_engine.index.checks import (
    checked_metadata,
    checked_vectors,
)


def test_metadata() -> None:
    assert checked_metadata(None, 2) == [None, None]
    value = [{}, None, {"a": [1, 2.5, None, True, {"ü": "x"}]}]
    assert checked_metadata(value, 3) == ["{}", None, '{"a": [1, 2.5, null, true, {"ü": "x"}]}']


def nested(depth: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(depth):
        document = {"a": document}
    return document


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([1], InputTypeError, r"metadata\[0\] is int"),
        (["{}"], InputTypeError, r"metadata\[0\] is str"),
        ({}, InputTypeError, "metadata is dict"),
        ("x", InputTypeError, "metadata is str"),
        ([{}, {}], InputValueError, "metadata has 2 for 1 texts"),
        ([{1: 2}], InputTypeError, "has the name 1"),
        ([{"a": {None: 1}}], InputTypeError, r"\['a'\] has the name None"),
        ([{"a": (1, 2)}], InputTypeError, "is tuple"),
        ([{"a": {1}}], InputTypeError, "is set"),
        ([{"a": b""}], InputTypeError, "is bytes"),
        ([{"a": np.datetime64("2020-01-01")}], InputTypeError, "is date"),
        ([{"a": np.array([1])}], InputTypeError, "is ndarray"),
        ([{"a": np.float32("inf")}], InputValueError, "is inf"),
        ([{"a": [math.nan]}], InputValueError, r"\['a'\]\[0\] is nan"),
        ([{"a": math.inf}], InputValueError, "is inf"),
        ([{"a": "\udc00"}], InputValueError, "lone surrogate"),
        ([{"\udc00": 1}], InputValueError, "lone surrogate"),
        ([{"a": 10**5000}], InputValueError, "16,610 bits"),
        ([nested(101)], InputValueError, "100 deep"),
        ([nested(5000)], InputValueError, "100 deep"),
    ],
)
def test_metadata_refused(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        checked_metadata(value, 1)


def test_numpy_scalars_in_metadata_are_what_they_hold() -> None:
    document = {
        "a": [np.int64(-5), np.uint64(2**64 - 1), np.bool_(True)],
        "b": {"c": np.float32(0.5), "d": np.str_("x")},
    }
    assert checked_metadata([{**document, "e": np.array(7)}], 1) == [
        '{"a": [-5, 18446744073709551615, true], "b": {"c": 0.5, "d": "x"}, "e": 7}'
    ]


def test_metadata_in_itself() -> None:
    value: dict[str, Any] = {}
    value["a"] = value
    with pytest.raises(InputValueError, match="100 deep"):
        checked_metadata([value], 1)


def test_vectors() -> None:
    vectors = np.array([[3, 4], [1e-30, 0], [-1e30, 1e30]])
    checked = checked_vectors(vectors, 2, count=3)
    assert checked.dtype == np.float32
    half = math.sqrt(0.5)
    np.testing.assert_allclose(checked, [[0.6, 0.8], [1, 0], [-half, half]], rtol=1e-6)
    unit = np.array([[0.6, 0.8000001]], np.float32)
    np.testing.assert_array_equal(checked_vectors(unit, 2), unit)
    assert checked_vectors([[1, 0]], 2).tolist() == [[1, 0]]
    assert checked_vectors(np.array([[3, 4]], np.longdouble), 2).tolist() == checked[:1].tolist()
    assert checked_vectors(np.ones((1, 2), np.float16), 2).dtype == np.float32
    assert checked_vectors(np.empty((0, 2)), 2).shape == (0, 2)
    assert checked_vectors(unit, 2) is not unit


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([["a", "b"]], InputTypeError, "vectors are of <U1"),
        (np.array([[None, 1]]), InputTypeError, "object"),
        (np.ones((1, 2), complex), InputTypeError, "complex"),
        (np.ones((1, 2), bool), InputTypeError, "bool"),
        ([[1], [1, 2]], InputValueError, "not of one length"),
        ([1.0, 2.0], InputValueError, "of shape"),
        ([[[1.0, 2.0]]], InputValueError, "of shape"),
        ([[1.0, 2.0, 3.0]], IndexMismatchError, "dimension 3, this index's of 2"),
        ([[1.0, math.nan]], InputValueError, r"vectors\[0\] holds NaN"),
        ([[1.0, 0], [math.inf, 0]], InputValueError, r"vectors\[1\] holds NaN or an inf"),
        ([[1.0, 0], [0, 0.0]], InputValueError, r"vectors\[1\] is of length zero"),
        (np.array([[1e300, 1e300]]), InputValueError, "infinity"),
    ],
)
def test_vectors_refused(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        checked_vectors(value, 2)


def test_as_many_vectors_as_texts() -> None:
    with pytest.raises(InputValueError, match="vectors has 1 for 2 texts"):
        checked_vectors([[1.0, 0]], 2, count=2)
