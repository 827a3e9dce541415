"""What bench runs and reports. No test depends on how long anything takes; clocks here are simulated."""

import dataclasses
import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from simcse_engine import Encoder, Manifest
from simcse_engine.errors import ArtifactNotFoundError, InputValueError, ProviderError
from simcse_engine.measure import bench
from simcse_engine.measure.bench import BenchOptions
from simcse_engine.measure.results import Bench, Round
from simcse_engine.runner import Runner

QUICK = 0.02


@pytest.fixture(scope="module")
def measured(artifact: Path) -> Bench:
    return bench.bench(str(artifact), BenchOptions(threads=2, seconds=QUICK))


def test_what_is_measured(measured: Bench, artifact: Path) -> None:
    manifest = Manifest.read(artifact)
    assert measured.artifact["identity"] == manifest.identity
    assert (measured.machine["threads"], measured.seconds) == (2, QUICK)
    assert (measured.texts_source, measured.texts_cut) == ("generated", cut_of_generated(artifact))
    # The artifact's limit is 32 tokens.
    assert [entry.tokens_per_sentence for entry in measured.lengths] == [8, 16, 32]
    assert measured.latency.calls >= 1
    for entry in [*measured.lengths, measured.texts]:
        assert entry.rounds >= 1
        assert 0 < entry.sentences_per_s.min <= entry.sentences_per_s.median <= entry.sentences_per_s.max


def cut_of_generated(artifact: Path) -> int:
    tokenizer = bench.Tokenizer(artifact / "tokenizer.json", 32)
    return len(tokenizer.encode(bench.sentences(10_000)).cut)


def test_json(measured: Bench) -> None:
    document = json.loads(json.dumps(measured.to_json(), allow_nan=False))
    assert set(document) == {field.name for field in dataclasses.fields(Bench)}
    assert set(document["machine"]) == {"cpu", "features", "threads", "affinity", "quota", "onnxruntime", "kernels"}
    assert set(document["texts"]["sentences_per_s"]) == {"median", "min", "max"}
    assert set(document["latency"]) == {"calls", "p50_ms", "p90_ms", "p99_ms", "p99_9_ms"}


def test_a_file_of_texts(artifact: Path, tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("the cat\nthe man is on the mat\n" + "the cat " * 50 + "\n")
    measured = bench.bench(str(artifact), BenchOptions(file=str(file), threads=1, seconds=QUICK))
    assert (measured.texts_source, measured.texts_cut) == (str(file), 1)
    # [CLS] the cat [SEP], [CLS] the man is on the mat . [SEP] without its full stop, and 32.
    assert measured.texts.tokens_per_sentence == pytest.approx((4 + 8 + 32) / 3)
    assert measured.texts.sentences_per_round == 3


def test_what_cannot_be_measured(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    for options, error, message in (
        (BenchOptions(file=str(tmp_path / "empty.txt")), InputValueError, "empty.txt: no text in it"),
        (BenchOptions(file=str(tmp_path / "none.txt")), InputValueError, "no such file"),
        (BenchOptions(device="cuda"), ProviderError, "asked for cuda"),
        (BenchOptions(threads=0), InputValueError, "threads=0"),
    ):
        with pytest.raises(error, match=message):
            bench.bench(str(artifact), options)
    with pytest.raises(ArtifactNotFoundError):
        bench.bench(str(tmp_path / "none"), BenchOptions())


@pytest.mark.parametrize(
    ("max_tokens", "lengths"), [(32, [8, 16, 32]), (100, [8, 16, 32, 64, 100]), (5, [5]), (600, [*bench._LENGTHS, 600])]
)
def test_lengths(artifact: Path, max_tokens: int, lengths: list[int]) -> None:
    assert bench._lengths(dataclasses.replace(Manifest.read(artifact), max_tokens=max_tokens)) == lengths


def test_works_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two works: the first takes 0.1 s a portion, the other 4 s."""
    clock, calls = SimpleNamespace(now=0.0), []
    monkeypatch.setattr(bench.time, "perf_counter", lambda: clock.now)

    def work(name: str, seconds: float) -> bench._Work:
        def run(portions: int) -> Round:
            calls.append((name, portions))
            clock.now += seconds * portions
            return Round(sentences=portions, tokens=portions, seconds=seconds * portions)

        return run

    rounds = bench._take_turns([work("fast", 0.1), work("slow", 4.0)], 2.5)
    calibration = [("fast", 1)] * 2 + [("slow", 1)] * 2
    # Half a second a call: five portions of one, and the least there is of the other. After two rounds time is up.
    assert calls == calibration + [("fast", 5), ("slow", 1)] * 2
    assert [len(done) for done in rounds] == [2, 2]


def test_a_slow_model_is_measured_for_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0, 100)
    monkeypatch.setattr(bench.time, "perf_counter", lambda: float(next(clock)))
    rounds = bench._take_turns([lambda n: Round(sentences=n, tokens=n, seconds=100)], 1)
    assert rounds == [[Round(sentences=1, tokens=1, seconds=100)]]


def test_texts_go_round_and_never_twice_into_a_call() -> None:
    calls, prompts = [], set()
    texts = [f"text {i}" for i in range(100)]

    def encode(texts: list[str], *, prompt: str) -> None:
        calls.append(texts)
        prompts.add(prompt)

    encoder = SimpleNamespace(encode=encode)
    work = bench._text_work(encoder, texts, [[0] * i for i in range(100)], threads=1)  # type: ignore[arg-type]
    first, second, third = work(1), work(1), work(5)
    assert calls == [texts[:64], [*texts[64:], *texts[:28]], [*texts[28:], *texts[:28]]]
    assert (first.sentences, first.tokens) == (64, sum(range(64)))
    assert second.tokens == sum(range(64, 100)) + sum(range(28))
    assert third.sentences == 100
    assert prompts == {""}


@pytest.mark.parametrize("threads", [1, 3])
def test_ids_of_one_length_fill_a_batch_for_each_thread(artifact: Path, threads: int) -> None:
    submitted = []

    class Watched(Runner):
        def submit(self, ids: list[list[int]]) -> object:
            submitted.append(ids)
            return super().submit(ids)

    runner = Watched(artifact, Manifest.read(artifact), devices=["cpu"], threads=threads)
    done = bench._length_work(runner, [2, 3, 4, 5, 6], 16, threads * 512, runner.joint().dimension)(2)
    runner.close()
    assert {len(ids) for ids in submitted[0]} == {16}
    assert len(submitted[0]) == 2 * threads * 512 // 16
    assert (done.sentences, done.tokens) == (len(submitted[0]), len(submitted[0]) * 16)
    assert submitted[0][0][:7] == [2, 3, 4, 5, 6, 2, 3]


def test_latency_is_of_one_text_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = SimpleNamespace(now=0.0), []

    def encode(texts: list[str], *, prompt: str) -> np.ndarray:
        assert prompt == ""
        calls.append(texts)
        clock.now += 0.25
        return np.zeros((1, 1), np.float32)

    monkeypatch.setattr(bench.time, "perf_counter", lambda: clock.now)
    encoder: Encoder = SimpleNamespace(encode=encode)  # type: ignore[assignment]
    measured = bench._latency(encoder, ["a", "b"], 1.0)
    assert calls == [["a"], ["b"], ["a"], ["b"]]
    assert (measured.calls, measured.p50_ms) == (4, 250)
