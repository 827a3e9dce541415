"""How long does one sentence take, sentence after sentence? Ours against the peers, each at its best settings.

Each contestant runs in a process of its own and takes blocks of sentences in turns, one sentence per call.
"""

import itertools
from typing import Any

from ..statistics import medians_ms, percentiles_ms, spreads
from .field import Field

QUESTION = "milliseconds of one sentence alone, text to vector; each at its best settings"
BLOCK_SENTENCES = 50
# Sentences before each block that do not count: a process that has waited starts with cold caches.
FIRST_OF_BLOCK = 5
PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9)


def measure(field: Field, *, rounds: int = 40) -> dict[str, Any]:
    blocks = field.draw("latency", rounds, FIRST_OF_BLOCK + BLOCK_SENTENCES)
    for each in field.contestants.values():
        each.process.load(each.one)
    # One text of each length: some libraries prepare kernels for each.
    texts = list(itertools.chain(*blocks))
    by_length = {len(ids): text for ids, text in zip(field.tokenizer().encode(texts).ids, texts, strict=True)}
    waits = field.take_turns(
        blocks,
        lambda each, block: each.process.each(block)[FIRST_OF_BLOCK:],
        warm_up=list(by_length.values()),
    )
    medians = medians_ms(waits)
    return {
        "sentences_a_contestant": rounds * BLOCK_SENTENCES,
        "order": "drawn each round",
        "one_sentence_ms": {name: percentiles_ms(each, PERCENTILES) for name, each in waits.items()},
        "p50_ms_by_block": spreads(medians),
        "p50_peer_over_ours": field.peer_over_ours(medians),
    }
