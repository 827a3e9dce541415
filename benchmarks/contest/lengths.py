"""How does bulk work go with the length of the texts? Ours against the peers.

Peers have the batch size that a search found best for the length, and otherwise the settings that are best for
sentences as they come. Texts of each length are words of real sentences, cut so that all have exactly that many tokens.
"""

import random
from collections.abc import Sequence

from simcse_engine.artifact.manifest import TOKENIZER
from simcse_engine.tokenizer import Tokenizer

from ..harness import Spread, write_result
from .efficiency import Peaks
from .field import SEVERAL_WORKERS, Field, options
from .peers.environment import PeerError
from .peers.workers.protocol import Load

LENGTHS = (8, 16, 32, 64, 128)
TOKENS_A_ROUND, ROUNDS = 4_096, 5
SPECIAL_TOKENS = 2

# In a round, at least: fewer would leave workers of some peers without a batch.
LEAST_TEXTS = 64


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each length")
    parser.add_argument("--tokens", type=int, default=TOKENS_A_ROUND, help="in each round, at least")
    asked = parser.parse_args()
    field = Field.of(asked)
    ask(field, rounds=asked.rounds, tokens=asked.tokens)
    field.close()


def ask(field: Field, *, rounds: int = ROUNDS, tokens: int = TOKENS_A_ROUND) -> None:
    """Measure, and write the result."""
    tokenizer = Tokenizer(next(iter(field.artifacts.values())) / TOKENIZER, max(LENGTHS))
    arithmetic = {name: each.arithmetic for name, each in field.contestants.items()}
    found = {}
    for length in LENGTHS:
        print(f"{length} tokens a text", flush=True)
        peaks = Peaks(field.threads)
        count = max(tokens // length, LEAST_TEXTS)
        texts = texts_of(length, (2 + rounds) * count, field.texts, tokenizer)
        sample, warm_up, *given = (texts[start : start + count] for start in range(0, len(texts), count))
        loads = loaded(field, f"{length} tokens", sample)
        seconds = field.take_turns(
            given,
            lambda each, texts: each.process.encode(texts),
            warm_up=warm_up,
            warm_ups_of_several=SEVERAL_WORKERS,
            first=peaks.measure,
        )
        rates = {name: [count * length / s for s in each] for name, each in seconds.items()}
        work = {name: [rate * field.flops.per_token for rate in each] for name, each in rates.items()}
        found[length] = {
            "texts_in_a_round": count,
            "settings": {name: str(loads[name].setting) for name in field.contestants if name not in field.ours},
            "tokens_per_second": {name: Spread.of(each) for name, each in rates.items()},
            "peak_operations_per_s": peaks.facts(),
            "share_of_peak": peaks.shares(arithmetic, work),
            "peer_over_ours": field.peer_over_ours(seconds),
        }
        peaks.close()
        for name, each in found[length]["tokens_per_second"].items():
            print(f"  {name:32} {each.median / length:8.0f} texts/s {each.median:9.0f} tokens/s")
    write_result(
        f"lengths-{field.model.name}",
        {
            "question": "tokens a second in bulk, texts to vectors, by the tokens of each text",
            **field.facts(),
            "settings": "for peers, the best of sentences as they come, with the best batch for the length",
            "flops_per_token": field.flops.per_token,
            "lengths": found,
        },
    )


def loaded(field: Field, what: str, sample: Sequence[str]) -> dict[str, Load]:
    """Everybody loads what is best for texts like these; what that is."""
    loads = {}
    for name, each in list(field.contestants.items()):
        try:
            loads[name] = each.bulk_for(what, sample)
            each.process.load(loads[name])
        except PeerError as error:
            field.leave(name, str(error))
    return loads


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


if __name__ == "__main__":
    main()
