"""How does the speed of bulk work change with the length of the texts? Ours against the peers.

Peers have the batch size that a search found best for the length, and otherwise the settings that are best for
sentences as they come. The texts of a length are words of real sentences, cut to exactly that many tokens.
"""

import random
from collections.abc import Sequence
from typing import Any

from simcse_engine.tokenizer import Tokenizer

from ..statistics import rates
from .contestant import Contestant
from .field import Field
from .peers.workers.protocol import Load

QUESTION = "tokens a second in bulk, texts to vectors, by the tokens of each text"
LENGTHS = (8, 16, 32, 64, 128, 256)
SPECIAL_TOKENS = 2
# In a round, at least: fewer would leave workers of some peers without a batch.
LEAST_TEXTS = 64


def measure(field: Field, *, rounds: int = 5, tokens: int = 4_096) -> dict[str, Any]:
    figures = {}
    for length in LENGTHS:
        print(f"{length} tokens a text", flush=True)
        count = max(tokens // length, LEAST_TEXTS)
        texts = texts_of(length, (2 + rounds) * count, field.texts, field.tokenizer())
        sample, warm_up, *inputs = (texts[start : start + count] for start in range(0, len(texts), count))

        def load(_: str, each: Contestant, length: int = length, sample: Sequence[str] = sample) -> Load:
            setting = each.bulk_for(f"{length} tokens", sample)
            each.process.load(setting)
            return setting

        loads = field.each(load)
        seconds, shares = field.bulk(inputs, warm_up=warm_up, tokens=count * length)
        figures[length] = {
            "texts_in_a_round": count,
            "settings": {name: str(loads[name].setting) for name in field.contestants if name not in field.artifacts},
            "tokens_per_second": rates(seconds, count * length),
            **shares,
            "peer_over_ours": field.peer_over_ours(seconds),
        }
    return {
        "settings": "for peers, the best of sentences as they come, with the best batch for the length",
        "flops_per_token": field.flops.per_token,
        "lengths": figures,
    }


def texts_of(length: int, count: int, sentences: Sequence[str], tokenizer: Tokenizer) -> list[str]:
    """Distinct texts of ``length`` tokens, special ones included, made of the sentences' words in a random order."""
    words = list(dict.fromkeys(word for sentence in sentences for word in sentence.split()))
    sizes = [len(ids) - SPECIAL_TOKENS for ids in tokenizer.encode(words).ids]
    draw = random.Random(length)
    texts: dict[str, None] = {}
    while len(texts) < count:
        chosen, room = [], length - SPECIAL_TOKENS
        while room:
            i = draw.randrange(len(words))
            if 0 < sizes[i] <= room:
                chosen.append(words[i])
                room -= sizes[i]
        text = " ".join(chosen)
        if len(tokenizer.encode([text]).ids[0]) == length:
            texts[text] = None
    return list(texts)
