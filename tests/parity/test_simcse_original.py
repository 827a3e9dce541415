"""The drop-in class beside the original, call by call: live where pip can install that, and on its recorded answers.

The original gets an environment of its own, which pytest's cache keeps. Where there is no network,
`simcse_goldens.json` has what it answered.
"""

import functools
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from simcse_engine import SimCSE
from simcse_export import ExportOptions, export


def _load_calls() -> ModuleType:
    spec = importlib.util.spec_from_file_location("simcse_calls", Path(__file__).with_name("simcse_calls.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


calls = _load_calls()
QUERIES, KEYS, THRESHOLD = calls.QUERIES, calls.KEYS, calls.THRESHOLD


@dataclass(frozen=True, kw_only=True)
class Both:
    """The original's answers, and ours on the same checkpoint.

    Attributes:
        theirs: what each call returned.
        model: on an artifact that gives unit vectors.
        plain: on one that gives them as the pooler does.
    """

    theirs: dict[str, Any]
    model: SimCSE
    plain: SimCSE


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return calls.small_checkpoint(tmp_path_factory.mktemp("goldens") / "checkpoint")


@pytest.fixture(scope="module")
def original(request: pytest.FixtureRequest) -> Path:
    """The interpreter of an environment with the original."""
    major, minor, *_ = sys.version_info
    try:
        return calls.install(request.config.cache.mkdir(f"simcse-original-{major}.{minor}"))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"the original simcse cannot be installed: {error.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="module")
def live(original: Path) -> Callable[[Path], dict[str, Any]]:
    """The original's answers for a checkpoint by each pooler, asked once."""
    return functools.cache(functools.partial(calls.ask, original))


@pytest.fixture(
    scope="module", params=[(w, p) for w in ("goldens", "small", "real") for p in calls.POOLERS], ids="-".join
)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    which, pooler = request.param
    if which == "goldens":
        checkpoint, theirs = request.getfixturevalue("small"), json.loads(calls.GOLDENS.read_text("utf-8"))[pooler]
    else:
        checkpoint = request.getfixturevalue("small" if which == "small" else "real_checkpoint")
        theirs = request.getfixturevalue("live")(checkpoint)[pooler]
    folder = tmp_path_factory.mktemp("original")
    export(checkpoint, folder / "unit", ExportOptions(pooler=pooler))
    export(checkpoint, folder / "plain", ExportOptions(pooler=pooler, normalize=False))
    with SimCSE(folder / "unit") as model, SimCSE(folder / "plain") as plain:
        yield Both(theirs=theirs, model=model, plain=plain)


@pytest.mark.filterwarnings("ignore::simcse_engine.TruncationWarning")
def test_encode_and_similarity(both: Both) -> None:
    theirs, plain = both.theirs, both.plain.encode(QUERIES, return_numpy=True, normalize_to_unit=False)
    for model in (both.model, both.plain):
        ours = {
            "encode one": model.encode(QUERIES[0], return_numpy=True),
            "encode one, keepdim": model.encode(QUERIES[0], return_numpy=True, keepdim=True),
            "encode a list of one": model.encode(QUERIES[:1], return_numpy=True),
            "encode many": model.encode(QUERIES, return_numpy=True),
            "encode many, at most 8 tokens": model.encode(QUERIES, return_numpy=True, max_length=8),
            "similarity one, one": model.similarity(QUERIES[0], KEYS[0]),
            "similarity one, many": model.similarity(QUERIES[0], KEYS),
            "similarity many, one": model.similarity(QUERIES, KEYS[0]),
            "similarity many, many": model.similarity(QUERIES, KEYS),
            "similarity one, vectors": model.similarity(QUERIES[0], plain),
            "similarity many, vectors": model.similarity(QUERIES, plain),
        }
        for name, answer in ours.items():
            assert np.shape(answer) == np.shape(theirs[name]), name
            np.testing.assert_allclose(answer, theirs[name], rtol=0, atol=2e-6, err_msg=name)
    expected = np.array(theirs["encode many, not to unit"])
    np.testing.assert_allclose(plain, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_search(both: Both, tmp_path: Path) -> None:
    model, theirs = both.model, both.theirs
    model.build_index(KEYS + QUERIES)
    _check(model, theirs)
    # The original of the registry cannot add to an index: as if all had been there from the beginning.
    model.build_index(KEYS)
    model.add_to_index(QUERIES)
    _check(model, theirs)
    file = tmp_path / "sentences.txt"
    file.write_text(calls.FILE, encoding="utf-8")
    model.build_index(str(file))
    hits = model.search(QUERIES[0], threshold=-1, top_k=100)
    assert sorted(sentence for sentence, _ in hits) == sorted(theirs["sentences of a file"])
    _same(hits, theirs["search a file"])


def _check(model: SimCSE, theirs: dict[str, Any]) -> None:
    for query, expected in zip(QUERIES, theirs["search one"], strict=True):
        _same(model.search(query, threshold=THRESHOLD, top_k=3), expected)
    hits = model.search(QUERIES)
    assert len(hits) == len(QUERIES)
    for ours, expected in zip(hits, theirs["search many"], strict=True):
        _same(ours, expected)


def _same(hits: Any, expected: list[list[Any]]) -> None:
    assert [sentence for sentence, _ in hits] == [sentence for sentence, _ in expected]
    np.testing.assert_allclose([score for _, score in hits], [score for _, score in expected], rtol=0, atol=2e-6)
