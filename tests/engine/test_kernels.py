"""Encoders in our kernels: right in every precision, int8 to the bit the same on every variant, from many threads."""

import hashlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import simcse_engine
from simcse_engine import Encoder
from simcse_engine.machine.kernels import VARIABLE
from simcse_engine.measure.parity import LIMITS, compare
from simcse_engine.session import maker
from simcse_export import ExportOptions
from support.child import run_script
from support.environments import overlay
from support.maker import Maker, short_calibration
from support.ways import WAYS, variants

pytestmark = pytest.mark.skipif(not variants(), reason="no kernels run here")

# Of all lengths up to the limit, few of them the same, and more than one joint run takes.
TEXTS = [
    " ".join(["the", "man", "plays", "guitar", "some", "cat"][(i + j * (i % 5 + 1)) % 6] for j in range(1 + i % 29))
    for i in range(300)
]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An artifact of each precision."""
    maker, calibration = Maker(tmp_path_factory), short_calibration(tmp_path_factory)
    options = {name: ExportOptions(pooler="avg", max_tokens=32, precision=name) for name in ("fp32", "bf16")}
    options["int8"] = ExportOptions(pooler="avg", max_tokens=32, precision="int8", calibration=calibration)
    return {name: maker.artifact("bert", each) for name, each in options.items()}


@pytest.fixture(params=["fp32", "bf16", "int8"])
def precision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def vectors(artifact: Path, way: str, texts: list[str] = TEXTS, **options: int) -> NDArray[np.float32]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, way)
        with Encoder(artifact, **options) as encoder:  # type: ignore[arg-type]
            assert encoder.kernels == (None if way == "none" else way)
            return encoder.encode(texts)


@pytest.fixture(scope="module")
def reference(artifacts: dict[str, Path]) -> NDArray[np.float32]:
    return vectors(artifacts["fp32"], "none")


@pytest.mark.parametrize("way", WAYS)
def test_near_float32(artifacts: dict[str, Path], reference: NDArray[np.float32], precision: str, way: str) -> None:
    compare(vectors(artifacts[precision], way), reference).require(precision)
    assert LIMITS[precision].min_cosine > compare(reference[::-1].copy(), reference).min_cosine


def test_int8_has_the_same_bits_everywhere(artifacts: dict[str, Path]) -> None:
    found = [
        vectors(artifacts["int8"], variant, threads=threads, optimize_for=aim)  # type: ignore[arg-type]
        for variant in variants()
        for threads, aim in ((1, "both"), (2, "both"), (3, "latency"))
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("variant", variants())
def test_a_sentence_alone_and_in_company(artifacts: dict[str, Path], precision: str, variant: str) -> None:
    """Equal to the bit in every precision: no kernel adds up a sentence in another order for what lies beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, variant)
        with Encoder(artifacts[precision], threads=2) as encoder:
            alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
            for part in (TEXTS, TEXTS[:3], TEXTS[40:60]):
                rows = slice(TEXTS.index(part[0]), TEXTS.index(part[0]) + len(part))
                np.testing.assert_array_equal(encoder.encode(part), alone[rows])


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The runtime's threads of every session that is made."""
    threads: list[int] = []
    make = maker._process_bound

    def watched(session: type) -> object:
        def build(model: object, settings: object, **arguments: object) -> object:
            threads.append(settings.intra_op_num_threads)  # type: ignore[attr-defined]
            return make(session)(model, settings, **arguments)

        return build

    monkeypatch.setattr(maker, "_process_bound", watched)
    return threads


@pytest.mark.parametrize("aim", ["both", "latency", "throughput"])
def test_the_weights_are_packed_once(artifacts: dict[str, Path], made: list[int], precision: str, aim: str) -> None:
    with Encoder(artifacts[precision], threads=3, optimize_for=aim) as encoder:  # type: ignore[arg-type]
        encoder.encode(TEXTS)
        encoder.encode(TEXTS[:2])
    assert made == [1]


def test_many_threads_on_several_encoders(artifacts: dict[str, Path], precision: str) -> None:
    """All share one team of threads; whoever finds it busy runs alone."""
    expected = vectors(artifacts[precision], WAYS[0])
    with Encoder(artifacts[precision], threads=2) as one, Encoder(artifacts[precision], threads=4) as other:
        begun = threading.Barrier(6)

        def work(number: int) -> None:
            encoder = (one, other)[number % 2]
            begun.wait(30)
            for start in range(0, 40, 4):
                for count in (1, 5, 200):
                    part = slice(start, start + count)
                    np.testing.assert_array_equal(encoder.encode(TEXTS[part]), expected[part])

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(6), timeout=120))


def test_closing_under_way_and_opening_again(artifacts: dict[str, Path], precision: str) -> None:
    expected = vectors(artifacts[precision], WAYS[0])
    for _ in range(3):
        encoder = Encoder(artifacts[precision], threads=2)
        stream = encoder.stream(TEXTS)
        np.testing.assert_array_equal(next(stream), expected)
        encoder.close()
        np.testing.assert_array_equal(vectors(artifacts[precision], WAYS[0], TEXTS[:4]), expected[:4])


def test_a_long_sentence_alone_takes_all_threads_and_keeps_its_bits(artifacts: dict[str, Path], precision: str) -> None:
    text = ["the man plays guitar and some cat sat on the mat with a dog"]
    found = [vectors(artifacts[precision], WAYS[0], text, threads=threads) for threads in (1, 2, 3, 8)]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


DIGEST = """
    import hashlib, json, sys
    from simcse_engine import Encoder
    import onnxruntime
    assert onnxruntime.__version__.startswith(sys.argv[3]), onnxruntime.__version__
    with Encoder(sys.argv[1], threads=2) as encoder:
        assert encoder.kernels
        print(hashlib.sha256(encoder.encode(json.loads(sys.argv[2])).tobytes()).hexdigest())
"""


@pytest.mark.parametrize("release", ["1.22.0", "1.23.0"])
def test_the_oldest_runtimes(artifacts: dict[str, Path], precision: str, release: str) -> None:
    """The same bits as in the newest, which is here: what is the runtime's adds nothing."""
    here = vectors(artifacts[precision], WAYS[0])
    engine = Path(simcse_engine.__file__).parents[1]
    path = f"{overlay(f'onnxruntime=={release}')}{os.pathsep}{engine}"
    said = run_script(DIGEST, artifacts[precision], json.dumps(TEXTS), release, PYTHONPATH=path)
    assert said.strip() == hashlib.sha256(here.tobytes()).hexdigest()
