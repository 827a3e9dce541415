"""How fast is bulk work over sentences as they come? Ours against the peers, each at its best settings.

Each contestant runs in a process of its own, behind one protocol (`peers/workers/protocol.py`), one at a time: the
others wait for their next line. All encode the same sentences in every round and before, unrecorded: some prepare
kernels for each shape of a batch, which is no part of steady bulk work.

Beside them run ours without our kernels, as where there is no library of them.
"""

from typing import Any

from ..statistics import Ratio, rates
from .contestant import Entry
from .field import Field

QUESTION = "sentences a second in bulk, texts to vectors; each at its best settings"
WITHOUT_KERNELS = ("ours-int8", "ours-fp32")


def measure(field: Field, *, rounds: int = 6) -> dict[str, Any]:
    (texts,) = field.draw("versus", 1, field.sentences)
    without = {
        f"{name}-without-kernels": Entry.without_kernels(field.contestants[name])
        for name in WITHOUT_KERNELS
        if field.contestants[name].facts["kernels"] is not None
    }
    for each in (*field.contestants.values(), *without.values()):
        each.process.load(each.bulk)
    tokens = sum(map(len, field.tokenizer().encode(texts).ids))
    seconds, shares = field.bulk([texts] * rounds, warm_up=texts, tokens=tokens, beside=without)
    for each in without.values():
        each.process.close()
    return {
        "sentences_in_a_round": field.sentences,
        "rounds": f"{rounds} of the same sentences, in an order of contestants that is drawn for each",
        "flops_per_token": field.flops.per_token,
        "bulk_sentences_per_second": rates(seconds, field.sentences),
        **shares,
        "bulk_ours_over_peer": field.peer_over_ours(seconds),
        "bulk_without_kernels_over_ours": {
            name: Ratio.of(seconds[f"{name}-without-kernels"], seconds[name])
            for name in WITHOUT_KERNELS
            if f"{name}-without-kernels" in seconds
        },
        "bulk_fp32_over_bf16": Ratio.of(seconds["ours-fp32"], seconds["ours-bf16"]),
    }
