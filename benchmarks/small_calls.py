"""How shall a call of a few sentences run? Laid end to end, one by one, in groups of one length, or padded.

From token ids to vectors, every way on one session whose threads share each run; the runner, which has a worker a
core too and cuts a call into batches, is there to show how near it comes to the best way.
"""

import itertools
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness import Ratio, Spread, alternate, no_options, timed, write_result
from inputs import bert_base, bert_base_checkpoint, minilm, minilm_checkpoint, sentences
from padded import run_padded, write_padded
from simcse_engine.artifact.manifest import TOKENIZER
from simcse_engine.machine.cpu import usable_cpus
from simcse_engine.runner import Runner, run_batch
from simcse_engine.session import CpuSession, SessionOptions
from simcse_engine.tokenizer import Tokenizer

SIZES = (1, 2, 3, 4, 8, 16, 32, 64)
LEAST_ROUNDS, LEAST_SENTENCES = 8, 64
MAX_TOKENS = 128
TOLERANCE = 2e-6

Ids = Sequence[list[int]]
Way = Callable[[Ids], NDArray[np.float32]]


def main() -> None:
    no_options(__doc__)
    texts = sentences()
    models = {
        "minilm": measure(minilm(), minilm_checkpoint(), texts.texts, pooler="avg", repeat=2),
        "bert_base": measure(bert_base(), bert_base_checkpoint(), texts.texts, pooler="cls", repeat=1),
    }
    write_result(
        "small_calls",
        {
            "question": "seconds a call of N sentences of mixed lengths, token ids to vectors, by the way it is run",
            "sentences": texts.source,
            "models": {
                "minilm": "sentence-transformers/all-MiniLM-L6-v2, 6 layers, hidden 384, pooler avg, fp32",
                "bert_base": "random weights, 12 layers, hidden 768, pooler cls, fp32",
            },
            "results": models,
        },
    )


def measure(artifact: Path, checkpoint: Path, texts: list[str], *, pooler: str, repeat: int) -> dict:
    threads = usable_cpus()
    ids = Tokenizer(artifact / TOKENIZER, MAX_TOKENS).encode(texts).ids
    runner = Runner(artifact, device="cpu", threads=threads)
    with tempfile.TemporaryDirectory() as folder:
        padded = open_session(write_padded(checkpoint, Path(folder), pooler=pooler), threads)
    joint = runner.joint()
    ways: dict[str, Way] = {
        "runner": lambda call: runner.submit(call).write(np.empty((len(call), joint.dimension), np.float32)),
        "end_to_end": lambda call: run_batch(joint, call),
        "one_by_one": lambda call: np.concatenate([run_batch(joint, [sentence]) for sentence in call]),
        "equal_lengths": lambda call: run_groups(joint, call),
        "padded": lambda call: run_padded(padded, call),
    }
    chosen = random.Random(1)
    difference = check(ways, [chosen.sample(ids, size) for size in SIZES])
    sizes = {}
    for size in SIZES:
        rounds = repeat * max(LEAST_ROUNDS, LEAST_SENTENCES // size)
        calls = [chosen.sample(ids, size) for _ in range(rounds)]
        sizes[size] = compare(ways, calls)
        print(artifact.name, f"{size:3}", *(f"{name} {ms:.1f} ms" for name, ms in medians_ms(sizes[size]).items()))
    runner.close()
    return {"threads": threads, "largest_difference": difference, "sizes": sizes}


def open_session(folder: Path, threads: int) -> CpuSession:
    return CpuSession(folder, SessionOptions(device="cpu", threads=threads))


def run_groups(session: CpuSession, call: Ids) -> NDArray[np.float32]:
    """Run sentences of each length on their own; no grid has padding then."""
    order = sorted(range(len(call)), key=lambda i: len(call[i]))
    out = np.empty((len(call), session.dimension), np.float32)
    for _, group in itertools.groupby(order, key=lambda i: len(call[i])):
        positions = list(group)
        out[positions] = run_batch(session, [call[i] for i in positions])
    return out


def check(ways: dict[str, Way], calls: list[Ids]) -> float:
    """Stop unless all ways give the same vectors; the largest difference of a float."""
    largest = 0.0
    for call in calls:
        expected = ways["one_by_one"](call)
        for name, way in ways.items():
            difference = float(np.abs(way(call) - expected).max())
            if difference > TOLERANCE:
                sys.exit(f"{name} differs by {difference} in a call of {len(call)}")
            largest = max(largest, difference)
    return largest


def timed_warm(way: Way) -> Callable[[Ids], float]:
    """The seconds of a call right after the same call: else a way would pay for the caches that the last one filled.

    Some share a session and its weights, some do not, so that price would not be the same for all.
    """
    measure = timed(way)

    def again(call: Ids) -> float:
        way(call)
        return measure(call)

    return again


def compare(ways: dict[str, Way], calls: list[Ids]) -> dict:
    seconds = alternate({name: timed_warm(way) for name, way in ways.items()}, calls)
    tokens = [sum(map(len, call)) for call in calls]
    padding = [len(call) * max(map(len, call)) / count for call, count in zip(calls, tokens, strict=True)]
    return {
        "tokens": Spread.of(tokens),
        "padded_tokens_over_tokens": Spread.of(padding),
        "seconds": {name: Spread.of(values) for name, values in seconds.items()},
        "over_end_to_end": {
            name: Ratio.of(values, seconds["end_to_end"]) for name, values in seconds.items() if name != "end_to_end"
        },
    }


def medians_ms(size: dict) -> dict[str, float]:
    return {name: spread.median * 1e3 for name, spread in size["seconds"].items()}


if __name__ == "__main__":
    main()
