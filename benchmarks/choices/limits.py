"""Why the scheduler's sizes are what they are: batches of more or fewer tokens in bulk, more or less padding in a call.

Each variant is a runner's `Limits` with one number changed; the ratio is its seconds over the defaults'.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from simcse_engine.artifact.manifest import TOKENIZER, Manifest
from simcse_engine.machine.cpu import usable_cpus
from simcse_engine.runner import Runner
from simcse_engine.schedule import KERNEL_LIMITS, Limits
from simcse_engine.session.kernels import NO_KERNELS, Kernels, kernels_for
from simcse_engine.tokenizer import Tokenizer

from ..inputs import MINILM, sentences
from ..record import write_result
from ..statistics import over, spreads
from ..turns import alternate, no_options, timed

BATCH_TOKENS = (128, 256, 1024, 2048)
MIXED_PADDING = (0, 32, 512, 100_000)
IN_BULK, ROUNDS_IN_BULK = 2_000, 5
SHORT_TEXTS, LONG_TOKENS, CALLS = 16, 120, 32

RAGGED = Limits()

Ids = Sequence[list[int]]


def main() -> None:
    no_options(__doc__)
    texts = sentences()
    artifact = MINILM.artifact()
    ids = Tokenizer(artifact / TOKENIZER, 128).encode(texts.texts).ids
    dimension = Manifest.read(artifact).dimension

    def runner(kernels: Kernels) -> Callable[[Limits, Ids], None]:
        made = Runner(artifact, Manifest.read(artifact), devices=["cpu"], threads=usable_cpus(), kernels=kernels)

        def run(limits: Limits, batch: Ids) -> None:
            made.limits = limits  # one runner for all, so that they share memory and caches
            made.submit(batch).write(np.empty((len(batch), dimension), np.float32))

        return run

    run, in_kernels = runner(NO_KERNELS), runner(kernels_for(artifact, "cpu"))

    chosen = random.Random(2)
    bulk = [chosen.sample(ids, IN_BULK) for _ in range(ROUNDS_IN_BULK)]
    skewed = [[(chosen.choice(ids) * 20)[:LONG_TOKENS], *chosen.sample(ids, SHORT_TEXTS)] for _ in range(CALLS)]
    mixed = [chosen.sample(ids, SHORT_TEXTS) for _ in range(CALLS)]
    write_result(
        "limits",
        {
            "question": "seconds by the scheduler's limits, over those with the defaults; MiniLM, fp32, ids to "
            "vectors, in the runtime's operators and, for tokens in bulk, in our kernels",
            "sentences": texts.source,
            "defaults": Limits(),
        },
        {
            "batch_tokens_in_bulk": compare("batch_tokens", BATCH_TOKENS, bulk, run),
            "batch_tokens_in_bulk_in_kernels": compare("batch_tokens", BATCH_TOKENS, bulk, in_kernels, KERNEL_LIMITS),
            "mixed_padding_beside_a_long_text": compare("mixed_padding", MIXED_PADDING, skewed, run),
            "mixed_padding_of_short_texts": compare("mixed_padding", MIXED_PADDING, mixed, run),
        },
    )


def compare(
    name: str, values: Sequence[int], calls: list[Ids], run: Callable[[Limits, Ids], None], defaults: Limits = RAGGED
) -> dict:
    usual = getattr(defaults, name)
    ways = {value: timed(partial(run, replace(defaults, **{name: value}))) for value in (usual, *values)}
    seconds = alternate(ways, calls)
    return {"seconds": spreads(seconds), "over_default": over(seconds, usual)}


if __name__ == "__main__":
    main()
