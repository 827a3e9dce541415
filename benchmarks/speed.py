"""How fast is bulk work, and one sentence at a time? Ours against transformers on torch, float32, texts to vectors.

And whether bulk work is rightly given to a worker a core, and not to one session whose threads share each run.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from harness import Ratio, Spread, alternate, no_options, timed, write_result
from inputs import minilm, minilm_checkpoint, sentences
from simcse_engine import Encoder
from simcse_engine.artifact.manifest import TOKENIZER
from simcse_engine.machine.cpu import usable_cpus
from simcse_engine.runner import Runner, run_batch
from simcse_engine.schedule import Limits, plan
from simcse_engine.tokenizer import Tokenizer

BULK_SENTENCES, BULK_ROUNDS = 2_000, 6
BLOCK_SENTENCES, BLOCK_ROUNDS = 50, 10
TORCH_BATCH = 32
MAX_TOKENS = 128
TOLERANCE = 2e-6

Encode = Callable[[list[str]], NDArray[np.float32]]


def main() -> None:
    no_options(__doc__)
    threads = usable_cpus()
    torch.set_num_threads(threads)
    texts = sentences()
    bulk = [texts.texts[:BULK_SENTENCES]] * BULK_ROUNDS
    blocks = [texts.texts[i * BLOCK_SENTENCES :][:BLOCK_SENTENCES] for i in range(BLOCK_ROUNDS)]
    with Encoder(minilm(), max_tokens=MAX_TOKENS) as encoder:
        contestants: dict[str, Encode] = {
            "ours": encoder.encode,
            "torch": Torch(minilm_checkpoint()).encode,
        }
        difference = check({name: encode(bulk[0]) for name, encode in contestants.items()})
        seconds = alternate({name: timed(encode) for name, encode in contestants.items()}, bulk)
        # A block each, not a sentence each: the threads of whoever was last spin for a while.
        waits = alternate({name: one_at_a_time(encode) for name, encode in contestants.items()}, blocks)
    results = {
        "bulk_sentences_per_second": rates(seconds),
        "bulk_ours_over_torch": Ratio.of(seconds["torch"], seconds["ours"]),
        "one_sentence_ms": {name: percentiles_ms(blocks) for name, blocks in waits.items()},
        "one_sentence_p50_torch_over_ours": Ratio.of(medians(waits["torch"]), medians(waits["ours"])),
    }
    for name in contestants:
        one = results["one_sentence_ms"][name]
        rate = results["bulk_sentences_per_second"][name].median
        print(f"{name:6} {rate:.0f} sentences/s; one sentence p50 {one['p50']:.1f} ms, p99 {one['p99']:.1f} ms")
    ways = compare_ways(threads, bulk)
    print(f"a worker a core / joint session, sentences/s: {ways['side_by_side_over_joint']}")
    write_result(
        "speed",
        {
            "question": "sentences a second in bulk, and ms of one alone, texts to vectors; MiniLM, fp32",
            "sentences": texts.source,
            "sentences_in_bulk": BULK_SENTENCES,
            "threads": threads,
            "torch": f"transformers with sdpa attention, batches of {TORCH_BATCH} sorted by length",
            "largest_difference": difference,
            **results,
            "runner_in_bulk": ways,
        },
    )


class Torch:
    """The checkpoint run by transformers, mean-pooled and scaled to unit length."""

    def __init__(self, checkpoint: Path) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
        self._model = AutoModel.from_pretrained(checkpoint, local_files_only=True, attn_implementation="sdpa").eval()

    @torch.inference_mode()
    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Encode texts in batches of like length."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
        out = np.empty((len(texts), self._model.config.hidden_size), np.float32)
        for start in range(0, len(order), TORCH_BATCH):
            positions = order[start : start + TORCH_BATCH]
            batch = self._tokenizer(
                [texts[i] for i in positions],
                padding=True,
                truncation=True,
                max_length=MAX_TOKENS,
                return_tensors="pt",
            )
            mask = batch["attention_mask"].unsqueeze(2)
            states = self._model(**batch).last_hidden_state
            means = (states * mask).sum(1) / mask.sum(1)
            out[positions] = torch.nn.functional.normalize(means, dim=1).numpy()
        return out


def check(vectors: dict[str, NDArray[np.float32]]) -> float:
    """Stop unless both contestants give the same vectors; the largest difference of a float."""
    one, other = vectors.values()
    difference = float(np.abs(one - other).max())
    if difference > TOLERANCE:
        sys.exit(f"{' and '.join(vectors)} differ by {difference}")
    return difference


def one_at_a_time(encode: Encode) -> Callable[[list[str]], list[float]]:
    """Of a block of sentences, the seconds that each took alone."""

    def measure(block: list[str]) -> list[float]:
        seconds = []
        for text in block:
            start = time.perf_counter()
            encode([text])
            seconds.append(time.perf_counter() - start)
        return seconds

    return measure


def rates(seconds: dict[str, list[float]]) -> dict[str, Spread]:
    return {name: Spread.of([BULK_SENTENCES / s for s in values]) for name, values in seconds.items()}


def medians(blocks: list[list[float]]) -> list[float]:
    return [float(np.median(block)) for block in blocks]


def percentiles_ms(blocks: list[list[float]]) -> dict[str, float]:
    ms = np.concatenate(blocks) * 1e3
    return {"p50": float(np.percentile(ms, 50)), "p99": float(np.percentile(ms, 99)), "sentences": len(ms)}


def compare_ways(threads: int, bulk: list[list[str]]) -> dict:
    """The runner's two ways on the same batches, token ids to vectors."""
    artifact = minilm()
    runner = Runner(artifact, device="cpu", threads=threads)
    tokenizer = Tokenizer(artifact / TOKENIZER, MAX_TOKENS)
    rounds = [tokenizer.encode(texts).ids for texts in bulk]

    def jointly(ids: list[list[int]]) -> NDArray[np.float32]:
        out = np.empty((len(ids), runner.joint().dimension), np.float32)
        for batch in plan([len(i) for i in ids], Limits()):
            out[batch] = run_batch(runner.joint(), [ids[i] for i in batch])
        return out

    def side_by_side(ids: list[list[int]]) -> NDArray[np.float32]:
        return runner.submit(ids).write(np.empty((len(ids), runner.joint().dimension), np.float32))

    ways = {"joint": jointly, "side_by_side": side_by_side}
    difference = check({name: way(rounds[0]) for name, way in ways.items()})
    seconds = alternate({name: timed(way) for name, way in ways.items()}, rounds)
    runner.close()
    return {
        "sentences_per_second": rates(seconds),
        "side_by_side_over_joint": Ratio.of(seconds["joint"], seconds["side_by_side"]),
        "largest_difference": difference,
    }


if __name__ == "__main__":
    main()
