"""How long does one sentence take, sentence after sentence? Ours against the peers, each at its best settings.

Everybody runs in a process of its own and takes blocks of sentences in turns, one sentence a call.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from simcse_engine.artifact.manifest import TOKENIZER
from simcse_engine.tokenizer import Tokenizer

from ..harness import Spread, write_result
from .field import Field, options
from .peers.workers.grid import MAX_TOKENS

BLOCKS, BLOCK_SENTENCES = 40, 50

# Sentences before each block that count for nothing: a process that has waited starts with cold caches.
FIRST_OF_BLOCK = 5
PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=BLOCKS, help=f"of {BLOCK_SENTENCES} sentences")
    asked = parser.parse_args()
    field = Field.of(asked)
    ask(field, rounds=asked.rounds)
    field.close()


def ask(field: Field, *, rounds: int = BLOCKS) -> None:
    """Measure, and write the result."""
    blocks = field.draw("latency", rounds, FIRST_OF_BLOCK + BLOCK_SENTENCES)
    for each in field.contestants.values():
        each.process.load(each.one)
    waits = field.take_turns(
        blocks,
        lambda each, given: each.process.each(given)[FIRST_OF_BLOCK:],
        warm_up=one_of_each_length(blocks, Tokenizer(next(iter(field.artifacts.values())) / TOKENIZER, MAX_TOKENS)),
    )

    medians = {name: [float(np.median(block)) * 1e3 for block in each] for name, each in waits.items()}
    ms = {name: percentiles_ms(each) for name, each in waits.items()}
    ratios = field.peer_over_ours(medians)
    print(f"\n{field.model.name:32} {'p50 ms':>8} {'p99':>8} {'p99.9':>8}")
    for name, each in ms.items():
        print(f"{name:32} {each['p50']:8.2f} {each['p99']:8.2f} {each['p99.9']:8.2f}")
    for our, against in ratios.items():
        for peer, ratio in against.items():
            print(f"{our} is faster than {peer} by {ratio}")
    write_result(
        f"latency-{field.model.name}",
        {
            "question": "milliseconds of one sentence alone, text to vector; each at its best settings",
            **field.facts(),
            "sentences_a_contestant": rounds * BLOCK_SENTENCES,
            "order": "drawn each round",
            "one_sentence_ms": ms,
            "p50_ms_by_block": {name: Spread.of(each) for name, each in medians.items()},
            "p50_peer_over_ours": ratios,
        },
    )


def one_of_each_length(blocks: Sequence[Sequence[str]], tokenizer: Tokenizer) -> list[str]:
    """Of all texts, one of each number of tokens: some libraries prepare kernels for each."""
    texts = list(itertools.chain(*blocks))
    return list({len(ids): text for ids, text in zip(tokenizer.encode(texts).ids, texts, strict=True)}.values())


def percentiles_ms(blocks: list[list[float]]) -> dict[str, float]:
    ms = np.concatenate(blocks) * 1e3
    return {f"p{rank:g}": float(np.percentile(ms, rank)) for rank in PERCENTILES}


if __name__ == "__main__":
    main()
