"""How fast are bulk work and one sentence at a time? Ours against the peers, each at its best settings.

Everybody runs in a process of its own, behind the same protocol (`peers/workers/protocol.py`), and one at a time: the
others wait for their next line. Within a round all of them encode the same sentences.

    benchmarks/versus.py --models minilm --peers openvino-int8 ctranslate2-int8 --rounds 3
"""

import argparse
import itertools
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from harness import Ratio, Spread, write_result
from inputs import bert_base, minilm, sentences
from peers.catalog import FP32, PEERS
from peers.contestant import SETTINGS, Check, Contestant, our_contestant, peer_contestant
from peers.environment import PeerError
from peers.models import BERT_BASE, CALIBRATION_SENTENCES, MINILM, Model, measured_texts
from peers.reference import reference_vectors
from simcse_engine.cpu import usable_cpus

ROUNDS, BLOCKS = 6, 10
BLOCK_SENTENCES = 50
CHECK_SENTENCES = 100

# Sentences before each block that count for nothing: a process that has waited starts with cold caches.
FIRST_OF_BLOCK = 5

# Threads of OpenMP spin for 0.2 s after their work, and would do so in the next one's turn.
SETTLE_SECONDS = 0.3

Output = TypeVar("Output")


@dataclass(frozen=True, kw_only=True)
class Match:
    """A model to compare on.

    Attributes:
        ours: makes our artifacts, by name.
        sentences: in each round of bulk work.
    """

    model: Model
    ours: Mapping[str, Callable[[], Path]]
    sentences: int


MATCHES = {
    "minilm": Match(model=MINILM, ours={"fp32": minilm, "int8": partial(minilm, "int8")}, sentences=2_000),
    "bert-base": Match(model=BERT_BASE, ours={"fp32": bert_base, "int8": partial(bert_base, "int8")}, sentences=400),
}

# The least cosine to the reference that ours must have; what is not here is reported and not asked for.
LEAST_COSINE = {"fp32": FP32}


def main() -> None:
    options = arguments()
    if options.search:
        SETTINGS.unlink(missing_ok=True)
    for name in options.models:
        measure(MATCHES[name], options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ours = list(dict.fromkeys(name for match in MATCHES.values() for name in match.ours))
    parser.add_argument("--models", nargs="+", choices=MATCHES, default=list(MATCHES))
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--ours", nargs="+", choices=ours, default=ours)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of bulk work")
    parser.add_argument("--blocks", type=int, default=BLOCKS, help=f"of {BLOCK_SENTENCES} sentences one at a time")
    parser.add_argument("--search", action="store_true", help="search the settings anew, instead of those found before")
    return parser.parse_args()


def measure(match: Match, options: argparse.Namespace) -> None:
    """One model, from preparing everybody to the result's file."""
    threads = usable_cpus()
    draw = random.Random(0)
    texts = measured_texts()
    rounds = [draw.sample(texts, match.sentences) for _ in range(options.rounds)]
    blocks = [draw.sample(texts, FIRST_OF_BLOCK + BLOCK_SENTENCES) for _ in range(options.blocks)]
    checked = draw.sample(texts, CHECK_SENTENCES)
    check = Check(texts=checked, reference=reference_vectors(match.model, checked))
    # Not the rounds' own: nobody shall be tuned to them.
    sample, singles = draw.sample(texts, match.sentences), draw.sample(texts, BLOCK_SENTENCES)

    ours = {f"ours-{name}": our(match, name, check, threads) for name in options.ours if name in match.ours}
    entered = {
        name: peer_contestant(name, match.model, check, threads=threads, sample=sample, singles=singles)
        for name in options.peers
    }
    absent = {name: each for name, each in entered.items() if isinstance(each, str)}
    peers = {name: each for name, each in entered.items() if isinstance(each, Contestant)}
    contestants = {**ours, **peers}

    for each in contestants.values():
        each.process.load(each.bulk)
    seconds = take_turns(contestants, rounds, lambda each, given: each.process.encode(given), warm_up=rounds[0])
    for each in contestants.values():
        each.process.load(each.one)
    waits = take_turns(
        contestants,
        blocks,
        lambda each, given: each.process.each(given)[FIRST_OF_BLOCK:],
        warm_up=list(itertools.chain(*blocks)),
    )
    for each in contestants.values():
        each.process.close()

    medians = {name: [float(np.median(block)) * 1e3 for block in each] for name, each in waits.items()}
    rates = {name: Spread.of([match.sentences / s for s in each]) for name, each in seconds.items()}
    results = {
        "bulk_sentences_per_second": rates,
        "bulk_ours_over_peer": ratios(ours, peers, seconds),
        "one_sentence_ms": {name: percentiles_ms(each) for name, each in waits.items()},
        "one_sentence_p50_ms_by_block": {name: Spread.of(each) for name, each in medians.items()},
        "one_sentence_p50_peer_over_ours": ratios(ours, peers, medians),
    }
    print_table(match.model.name, contestants, results)
    for name, reason in absent.items():
        print(f"{name}: absent: {reason}")
    write_result(
        f"versus-{match.model.name}",
        {
            "question": "sentences a second in bulk, and ms of one alone, texts to vectors; each at its best settings",
            "model": match.model.name,
            "pooler": match.model.pooler,
            "sentences": f"{sentences().source}, less {CALIBRATION_SENTENCES} that INT8 is calibrated on",
            "sentences_in_a_round": match.sentences,
            "threads": threads,
            "order": "rotated by one each round",
            "contestants": {name: each.facts for name, each in contestants.items()},
            "absent": absent,
            **results,
        },
    )


def our(match: Match, name: str, check: Check, threads: int) -> Contestant:
    """Ours; without it there is nothing to compare with."""
    try:
        return our_contestant(
            match.ours[name](), match.model, check, threads=threads, least_cosine=LEAST_COSINE.get(name)
        )
    except PeerError as error:
        sys.exit(f"ours-{name}: {error}")


def take_turns(
    contestants: Mapping[str, Contestant],
    rounds: Sequence[list[str]],
    run: Callable[[Contestant, list[str]], Output],
    *,
    warm_up: list[str],
) -> dict[str, list[Output]]:
    """Everybody runs each round, with another one first in each; what they returned, a round an item.

    What they warm up with comes before and is not recorded: libraries prepare kernels when they first see a shape.
    """
    names = list(contestants)
    outputs: dict[str, list[Output]] = {name: [] for name in names}
    for number, given in enumerate([warm_up, *rounds]):
        print(f"round {number} of {len(rounds)}" if number else "warming up", flush=True)
        first = number % len(names)
        for name in names[first:] + names[:first]:
            time.sleep(SETTLE_SECONDS)
            output = run(contestants[name], given)
            if number:
                outputs[name].append(output)
    return outputs


def ratios(
    ours: Mapping[str, Contestant], peers: Mapping[str, Contestant], durations: Mapping[str, list[float]]
) -> dict[str, dict[str, Ratio]]:
    """How many times as long as ours each peer takes."""
    return {our: {peer: Ratio.of(durations[peer], durations[our]) for peer in peers} for our in ours}


def percentiles_ms(blocks: list[list[float]]) -> dict[str, float]:
    ms = np.concatenate(blocks) * 1e3
    return {"p50": float(np.percentile(ms, 50)), "p99": float(np.percentile(ms, 99)), "sentences": len(ms)}


def print_table(model: str, contestants: Mapping[str, Contestant], results: Mapping[str, Any]) -> None:
    print(f"\n{model:18} {'sentences/s':>11} {'p50 ms':>7} {'p99 ms':>7} {'1 - cosine':>10}  settings")
    for name, each in contestants.items():
        rate, ms = results["bulk_sentences_per_second"][name].median, results["one_sentence_ms"][name]
        found = each.facts.get("settings")
        how = f"{found.bulk}; one: {found.one.threads} threads" if found else ""
        difference = each.facts["largest_cosine_difference"]
        print(f"{name:18} {rate:11.0f} {ms['p50']:7.2f} {ms['p99']:7.2f} {difference:10.1e}  {how}")
    for our, against in results["bulk_ours_over_peer"].items():
        for peer, ratio in against.items():
            one = results["one_sentence_p50_peer_over_ours"][our][peer]
            print(f"{our} is faster than {peer} by: bulk {ratio}, one {one}")
    print()


if __name__ == "__main__":
    main()
