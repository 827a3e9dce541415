"""How fast is bulk work over sentences as they come? Ours against the peers, each at its best settings.

Everybody runs in a process of its own, behind the same protocol (`peers/workers/protocol.py`), and one at a time: the
others wait for their next line. All of them encode the same sentences in every round and before, unrecorded: some
prepare kernels for each shape of a batch, which is no part of bulk work that goes on.

    python -m benchmarks.contest.versus --peers openvino-int8 ctranslate2-int8 --rounds 3
    python -m benchmarks.contest.versus --model bert-base
"""

from simcse_engine.artifact.manifest import TOKENIZER
from simcse_engine.tokenizer import Tokenizer

from ..harness import Spread, write_result
from .efficiency import Peaks
from .field import SEVERAL_WORKERS, Field, options

ROUNDS = 6


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    field = Field.of(asked)
    ask(field, rounds=asked.rounds)
    field.close()


def ask(field: Field, *, rounds: int = ROUNDS) -> None:
    """Measure, and write the result."""
    (texts,) = field.draw("versus", 1, field.sentences)
    peaks = Peaks(field.threads)
    for each in field.contestants.values():
        each.process.load(each.bulk)
    seconds = field.take_turns(
        [texts] * rounds,
        lambda each, given: each.process.encode(given),
        warm_up=texts,
        warm_ups_of_several=SEVERAL_WORKERS,
        first=peaks.measure,
    )

    tokenizer = Tokenizer(next(iter(field.artifacts.values())) / TOKENIZER, 128)
    work = sum(map(len, tokenizer.encode(texts).ids)) * field.flops.per_token
    rates = {name: Spread.of([field.sentences / s for s in each]) for name, each in seconds.items()}
    arithmetic = {name: each.arithmetic for name, each in field.contestants.items()}
    operations = {name: [work / s for s in each] for name, each in seconds.items()}
    shares = peaks.shares(arithmetic, operations)
    ratios = field.peer_over_ours(seconds)
    print(f"\n{field.model.name:32} {'sentences/s':>11} {'of peak':>8} {'1 - cosine':>10}  settings")
    for name, each in field.contestants.items():
        found = each.facts.get("settings")
        difference = each.facts["largest_cosine_difference"]
        share = f"{shares[name]['share'].median:.2f} {shares[name]['of_peak']}"
        setting = found["bulk"].setting if found else ""
        print(f"{name:32} {rates[name].median:11.0f} {share:>9} {difference:9.1e}  {setting}")
    for our, against in ratios.items():
        for peer, ratio in against.items():
            print(f"{our} is faster than {peer} by {ratio}")
    write_result(
        f"versus-{field.model.name}",
        {
            "question": "sentences a second in bulk, texts to vectors; each at its best settings",
            **field.facts(),
            "sentences_in_a_round": field.sentences,
            "order": "drawn each round",
            "rounds": "the same sentences in each, and before, unrecorded",
            "flops_per_token": field.flops.per_token,
            "peak_operations_per_s": peaks.facts(),
            "bulk_sentences_per_second": rates,
            "share_of_peak": shares,
            "bulk_ours_over_peer": ratios,
        },
    )
    peaks.close()


if __name__ == "__main__":
    main()
