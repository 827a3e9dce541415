"""How fast is bulk work over sentences as they come? Ours against the peers, each at its best settings.

Each contestant runs in a process of its own, behind one protocol (`peers/workers/protocol.py`), one at a time: the
others wait for their next line. All encode the same sentences in every round and before, unrecorded: some prepare
kernels for each shape of a batch, which is no part of steady bulk work.
"""

from typing import Any

from ..statistics import rates
from .field import Field

QUESTION = "sentences a second in bulk, texts to vectors; each at its best settings"


def measure(field: Field, *, rounds: int = 6) -> dict[str, Any]:
    (texts,) = field.draw("versus", 1, field.sentences)
    for each in field.contestants.values():
        each.process.load(each.bulk)
    tokens = sum(map(len, field.tokenizer().encode(texts).ids))
    seconds, shares = field.bulk([texts] * rounds, warm_up=texts, tokens=tokens)
    return {
        "sentences_in_a_round": field.sentences,
        "rounds": f"{rounds} of the same sentences, in an order of contestants that is drawn for each",
        "flops_per_token": field.flops.per_token,
        "bulk_sentences_per_second": rates(seconds, field.sentences),
        **shares,
        "bulk_ours_over_peer": field.peer_over_ours(seconds),
    }
