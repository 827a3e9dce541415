"""Wherever a number is taken, one of NumPy's is too, and what is no number is refused."""

import math
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcse_engine import Encoder, Index, SimCSE
from simcse_engine.errors import InputTypeError, InputValueError
from simcse_engine.inputs import checked_count, checked_number, checked_whole, python_value
from simcse_engine.measure.bench import BenchOptions, bench
from simcse_export import ExportOptions
from support.indexes import names, unit_vectors

WHOLE: list[Callable[[int], Any]] = [np.int64, np.int32, np.uint64, np.uint8, np.array]


@pytest.fixture(scope="module")
def index(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Index.create(tmp_path_factory.mktemp("numbers") / "index", artifact) as index:
        index.add_vectors(unit_vectors(9), names(9), metadata=[{"n": i} for i in range(9)])
        yield index


@pytest.fixture(scope="module")
def simcse(artifact: Path) -> Any:
    with SimCSE(artifact) as model:
        model.build_index(["a", "b", "c"])
        yield model


@pytest.fixture(scope="module")
def places(artifact: Path, index: Index, simcse: SimCSE) -> dict[str, Callable[[Any], Any]]:
    """What takes a whole number, and what follows from it."""

    def encoder(name: str) -> Callable[[Any], Any]:
        def open_it(number: Any) -> Any:
            with Encoder(artifact, **{name: number}) as opened:
                return opened.max_tokens, opened.encode(["a b c d e f g"]).tolist()

        return open_it

    def add(number: Any) -> Any:
        (key,) = index.add_vectors(unit_vectors(1), ["text"], keys=[number], metadata=[{"m": number}])
        (found,) = [entry for entry in index.get([number]) if entry]
        assert index.remove([number]) == 1
        return key, type(key), found, type((found.metadata or {})["m"])

    def options(name: str, **others: Any) -> Callable[[Any], Any]:
        def make(number: Any) -> Any:
            value = getattr(ExportOptions(**{name: number, **others}), name)
            return value, type(value)

        return make

    query = unit_vectors(1)
    return {
        "Encoder threads": encoder("threads"),
        "Encoder max_tokens": encoder("max_tokens"),
        "Index.search k": lambda number: index.search(query, k=number),
        "Index.search threshold": lambda number: index.search(query, threshold=number),
        "Index.search where": lambda number: index.search(query, where={"n": number}),
        "Index.search where $lt": lambda number: index.search(query, where={"n": {"$lt": number}}),
        "Index.search where $in": lambda number: index.search(query, where={"n": {"$in": [number]}}),
        "Index.add_vectors keys, metadata": add,
        "SimCSE.encode max_length": lambda number: simcse.encode("a b c d e", max_length=number).tolist(),
        "SimCSE.search top_k": lambda number: simcse.search("a", top_k=number, threshold=-1),
        "SimCSE.search threshold": lambda number: simcse.search("a", threshold=number),
        "BenchOptions threads": lambda number: checked_count("threads", BenchOptions(threads=number).threads, 1),
        "ExportOptions max_tokens": options("max_tokens"),
        "ExportOptions max_batch": options("max_batch", target="tensorrt"),
        "ExportOptions max_quality_drop": options("max_quality_drop"),
        "ExportOptions compute_capability": lambda number: ExportOptions(
            target="tensorrt-rtx", compute_capability=(number, 89)
        ),
    }


@pytest.mark.filterwarnings("ignore::simcse_engine.TruncationWarning")
def test_whole_numbers_of_numpy(places: dict[str, Callable[[Any], Any]]) -> None:
    for place, answer in places.items():
        plain = answer(4)
        for kind in WHOLE:
            assert answer(kind(4)) == plain, place


def test_other_numbers_of_numpy(index: Index, artifact: Path) -> None:
    query, half = unit_vectors(1), np.float32(0.5)
    for number in (half, np.float16(0.5), np.float64(0.5), np.array(0.5), Fraction(1, 2)):
        assert index.search(query, threshold=number) == index.search(query, threshold=0.5)
        assert type(ExportOptions(max_quality_drop=number).max_quality_drop) is float
    assert index.search(query, where={"n": {"$lt": half}}) == index.search(query, where={"n": {"$lt": 0.5}})
    assert index.search(query, exact=np.True_) == index.search(query, exact=True)  # type: ignore[arg-type]
    assert bench(str(artifact), BenchOptions(seconds=np.float32(0.01), threads=np.int64(1))).machine["threads"] == 1


def test_what_is_no_number_is_refused(places: dict[str, Callable[[Any], Any]]) -> None:
    for place, answer in places.items():
        for wrong in ([4], np.array([4]), object(), "4" if "where" not in place else {4}, 4j):
            with pytest.raises(InputTypeError):
                answer(wrong)
        if "where" not in place and "metadata" not in place:
            for wrong in (True, np.True_):
                with pytest.raises(InputTypeError, match="expected a"):
                    answer(wrong)


def test_checks() -> None:
    assert python_value(np.array(5)) == 5
    assert type(python_value(np.float32(0.5))) is float
    for wrong in (2.0, np.float64(2), None, True, np.False_, "2", Decimal(2), np.array([2]), np.array([2, 3])):
        with pytest.raises(InputTypeError, match=r"n=.*: expected a whole number"):
            checked_whole("n", wrong)
    for wrong in (None, True, "2", 1j, np.array([2.0])):
        with pytest.raises(InputTypeError, match=r"x=.*: expected a number"):
            checked_number("x", wrong)
    assert checked_number("x", -(10**400)) == -math.inf
    for value in (math.nan, np.float32("nan")):
        with pytest.raises(InputValueError, match="x is NaN"):
            checked_number("x", value)
    assert replace(ExportOptions(), compute_capability=[], target="cpu").compute_capability == ()  # type: ignore[arg-type]
    with pytest.raises(InputTypeError, match="compute_capability=89: expected a list"):
        ExportOptions(target="tensorrt-rtx", compute_capability=89)  # type: ignore[arg-type]
    for seconds in (0, -1, math.inf):
        with pytest.raises(InputValueError, match="a number of seconds above 0"):
            bench("artifact", BenchOptions(seconds=seconds))
