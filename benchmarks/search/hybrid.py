"""Which of an index's searches finds what is sought: by vectors, by keywords, or by both joined?

Among 99,000 sentences of docstrings, an item is found again by some of its own words, which favours keywords. Items
of the STS sets lie among them, and are sought by a sentence that people say means the same in mostly other words,
which favours vectors. Ways to join both rankings are compared by the same queries. CPU time is that of all threads, and
encoding the queries is left out.

    python -m benchmarks.search.hybrid
    python -m benchmarks.search.hybrid --trial          few queries among 2,000 items, to see that everything works
"""

import argparse
import os
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simcse_engine import Encoder, Index
from simcse_engine.index.search.fusion import fusion_depth

from ..inputs import MINILM, STS
from ..record import RESULTS_VARIABLE, TRIAL, write_result
from .data import BATCH, QUERIES, K, Vectors, docs

MODES = ("vector", "keywords", "hybrid")
# Of STS's scores, from 0 to 5; and the share of two sentences' words that both have.
SAME_MEANING, MOST_SHARED = 4, 1 / 3
# With those of STS few enough for an exact search.
_ITEMS, _SOUGHT, _FEWEST_WORDS = 99_000, 1_000, 8
_DEPTH = fusion_depth(K)
# How rankings could be joined: what is added to a rank, keywords' weight beside that of vectors, 1, and how many of
# each count.
_JOINED = [
    *((offset, 1, _DEPTH) for offset in (60, 20, 5, 2, 0)),
    *((2, weight, _DEPTH) for weight in (0.5, 0.8, 1.25, 2)),
    *((2, 1, depth) for depth in (2 + 2 * K, 50, 200)),
]
_DEEPEST = max(depth for _, _, depth in _JOINED)
_WORD = re.compile(r"\w+")

Ranked = list[list[int]]


@dataclass(frozen=True, kw_only=True)
class Sought:
    """Queries and the key of the one item that each looks for."""

    queries: list[str]
    items: list[int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trial", action="store_true")
    trial = parser.parse_args().trial
    if trial:
        os.environ[RESULTS_VARIABLE] = str(TRIAL)
    vectors, texts, about = docs()
    chosen = slice(QUERIES, QUERIES + (2_000 if trial else _ITEMS))
    vectors, texts = vectors[chosen], texts[chosen]
    kinds = known_items(texts, 20 if trial else _SOUGHT)
    with Encoder(MINILM.artifact("int8"), truncate="silent") as encoder:
        if STS is None:
            print("paraphrases skipped: there are no STS files in ../shared/sts")
        else:
            pairs = paraphrases(STS.glob("*.tsv"))[: 20 if trial else None]
            kinds["another sentence"] = Sought(
                queries=[query for query, _ in pairs], items=list(range(len(texts), len(texts) + len(pairs)))
            )
            texts = [*texts, *(item for _, item in pairs)]
            vectors = np.concatenate([vectors, encoder.encode([item for _, item in pairs])])
        encoded = {kind: encoder.encode(sought.queries) for kind, sought in kinds.items()}
    about = {
        "question": "which of an index's searches finds what is sought",
        "items": f"{len(texts):,} of MiniLM; {about['source']}; the last ones of STS",
        "queries": {kind: len(sought.queries) for kind, sought in kinds.items()},
    }
    write_result("hybrid", about, measure(vectors, texts, kinds, encoded))


def known_items(texts: Sequence[str], count: int) -> dict[str, Sought]:
    """Queries of the words of some items, by how they are taken."""
    in_texts = Counter(word for text in texts for word in {*words(text)})
    chance = random.Random(0)
    long = [key for key, text in enumerate(texts) if len(words(text)) >= _FEWEST_WORDS]
    items = chance.sample(long, count)

    def around_the_rarest(text: list[str]) -> list[str]:
        place = min(range(len(text)), key=lambda i: in_texts[text[i]])
        return text[max(place - 1, 0) :][:3]

    ways: dict[str, Callable[[list[str]], list[str]]] = {
        "three words around its rarest": around_the_rarest,
        "half of its words, shuffled": lambda text: chance.sample(text, len(text) // 2),
        "its first half": lambda text: text[: len(text) // 2],
    }
    return {
        kind: Sought(queries=[" ".join(way(words(texts[key]))) for key in items], items=items)
        for kind, way in ways.items()
    }


def paraphrases(files: Iterable[Path]) -> list[tuple[str, str]]:
    """Pairs of STS sentences that mean the same in mostly other words, each sentence once."""
    pairs: list[tuple[str, str]] = []
    seen: set[str] = set()
    for path in sorted(files):
        for line in path.read_text(encoding="utf-8").splitlines():
            score, query, item = line.split("\t")
            ours, theirs = {*words(query)}, {*words(item)}
            alike = len(ours & theirs) <= MOST_SHARED * len(ours | theirs)
            if float(score) >= SAME_MEANING and alike and not {query, item} & seen:
                pairs.append((query, item))
                seen |= {query, item}
    return pairs


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower())


def measure(
    vectors: Vectors, texts: Sequence[str], kinds: Mapping[str, Sought], encoded: Mapping[str, Vectors]
) -> dict[str, Any]:
    """What each mode finds, and each way to join both rankings; and the CPU time of a query."""
    with tempfile.TemporaryDirectory() as folder:
        with Index.create(Path(folder) / "index", MINILM.artifact("int8"), keywords=True) as index:
            index.add_vectors(vectors, texts)
        with Index.open(Path(folder) / "index", read_only=True) as index:
            found: dict[str, dict[str, Any]] = {}
            joined: dict[str, dict[str, Any]] = {}
            for kind, sought in kinds.items():
                timed = {mode: _searched(index, mode, encoded[kind], sought.queries) for mode in MODES}
                found[kind] = {
                    mode: {**_measures(ranked, sought), "cpu_ms": ms} for mode, (ranked, ms) in timed.items()
                }
                deep = [
                    _searched(index, mode, encoded[kind], sought.queries, _DEEPEST)[0]
                    for mode in ("vector", "keywords")
                ]
                joined[kind] = {
                    f"{offset}, weight {weight}, depth {depth}": _measures(
                        [
                            join([(1, near[:depth]), (weight, holding[:depth])], offset)
                            for near, holding in zip(*deep, strict=True)
                        ],
                        sought,
                    )
                    for offset, weight, depth in _JOINED
                }
    return {"modes": found, "joined": joined}


def _searched(index: Index, mode: str, vectors: Vectors, texts: Sequence[str], k: int = K) -> tuple[Ranked, float]:
    """The keys that a mode ranks first for each query, and the CPU milliseconds of one."""

    def search(part: slice) -> list[list[Any]]:
        keywords = {} if mode == "vector" else {"mode": mode, "keywords": texts[part]}
        return index.search(vectors[part], k, **keywords)

    search(slice(2))  # whatever else a first search does
    start = time.process_time()
    hits = [each for first in range(0, len(texts), BATCH) for each in search(slice(first, first + BATCH))]
    return [[hit.key for hit in each] for each in hits], 1e3 * (time.process_time() - start) / len(texts)


def join(rankings: Sequence[tuple[float, list[int]]], offset: int) -> list[int]:
    """The keys of rankings, each with a weight, by the sum of weight / (offset + rank), best first."""
    scores: Counter[int] = Counter()
    for weight, keys in rankings:
        for rank, key in enumerate(keys, 1):
            scores[key] += weight / (offset + rank)  # type: ignore[assignment]
    return sorted(scores, key=lambda key: (-scores[key], key))[:K]


def _measures(ranked: Ranked, sought: Sought) -> dict[str, float]:
    """How often the item is first, and among the first ten; and the mean of 1 / its rank among these, else 0."""
    ranks = [keys.index(item) + 1 if item in keys else 0 for keys, item in zip(ranked, sought.items, strict=True)]
    return {
        "recall_at_1": float(np.mean([rank == 1 for rank in ranks])),
        f"recall_at_{K}": float(np.mean([rank > 0 for rank in ranks])),
        f"mrr_at_{K}": float(np.mean([1 / rank if rank else 0 for rank in ranks])),
    }


if __name__ == "__main__":
    main()
