"""An index against a dict and NumPy, through whatever can be done to it."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from simcse_engine import Hit, Index
from simcse_engine.errors import InputValueError, SearchIndexError
from simcse_engine.index.limits import SearchLimits
from simcse_engine.index.storage.records import Entry
from support.indexes import DIMENSION, unit_vectors

# So small that the graph comes and goes within a few steps.
TINY = SearchLimits(exact_rows=8, extend_rows=4, save_share=0.2, max_candidates=64, window_texts=5, group_queries=3)
POOL = unit_vectors(40, 11)
NUMBERS = st.integers(0, 15) | st.sampled_from([2**63, 2**63 + 9])
# Keys of each kind by their numbers, in another order than these.
KEYS: dict[str, Callable[[int], Any]] = {
    "int": int,
    "str": lambda number: f"{number % 7:o}" * (1 + number % 3) + "' \"\u202e😀\\"[: number % 8],
    "uuid": lambda number: UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128),
}
# No word of the latter, nor a pair of its characters, is in one of the former.
SHORT = st.text(st.characters(exclude_categories=["Cs", "Lo"]), max_size=5)
WORDS = ["guitar", "RAINFALL", "Éclair", "日本語", "trains"]
TEXTS = SHORT | st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(", ".join)
TAGS = st.lists(st.integers(0, 2) | st.sampled_from(["a", "\0"]), max_size=3)
METADATA = st.none() | st.fixed_dictionaries({"n": st.integers(0, 5)}, optional={"s": SHORT, "tags": TAGS})
# Filters, each with its meaning.
FILTERS: list[tuple[dict | None, Callable[[dict], bool]]] = [
    (None, lambda _: True),
    ({"n": {"$nin": [0, 3]}}, lambda metadata: metadata.get("n") not in (0, 3)),
    ({"s": {"$exists": False}}, lambda metadata: "s" not in metadata),
    ({"tags": {"$contains": "a"}}, lambda metadata: "a" in metadata.get("tags", [])),
    *(({"n": {"$gte": least}}, lambda metadata, least=least: metadata.get("n", -1) >= least) for least in range(7)),
]


def joined(*rankings: list[Hit]) -> list[Hit]:
    """The slow way: the sum of reciprocal ranks, where equal scores have equal ranks."""
    scores: dict[Any, float] = {}
    for ranking in rankings:
        for hit in ranking:
            rank = 1 + sum(other.score > hit.score for other in ranking)
            scores[hit.key] = scores.get(hit.key, 0) + 1 / (2 + rank)
    hits = {hit.key: hit for ranking in rankings for hit in ranking}
    joined = [hits[key]._replace(score=float(np.float32(score))) for key, score in scores.items()]
    return sorted(joined, key=lambda hit: (-hit.score, hit.key))


class IndexMachine(RuleBasedStateMachine):
    artifact: Path
    keys: str

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.model: dict[Any, tuple[str, dict | None, np.ndarray]] = {}
        self.next_key = 0

    @initialize(dtype=st.sampled_from(["f32", "f16", "i8"]), keywords=st.booleans())
    def create(self, dtype: str, keywords: bool) -> None:
        folder = self.folder / "index"
        Index.create(folder, self.artifact, dtype=dtype, keys=self.keys, keywords=keywords).close()
        self.keywords = keywords
        self.index = Index(self.folder / "index", limits=TINY)
        self.reader = Index(self.folder / "index", limits=TINY, read_only=True)

    def teardown(self) -> None:
        for index in (getattr(self, "index", None), getattr(self, "reader", None)):
            if index is not None:
                index.close()
        shutil.rmtree(self.folder)

    @rule(data=st.data(), keyed=st.booleans(), size=st.integers(0, 12))
    def add(self, data: st.DataObject, keyed: bool, size: int) -> None:
        numbers = st.lists(NUMBERS, unique_by=KEYS[self.keys], max_size=size)
        keys = [*map(KEYS[self.keys], data.draw(numbers))] if keyed or self.keys == "str" else None
        size = size if keys is None else len(keys)
        texts = data.draw(st.lists(TEXTS, min_size=size, max_size=size))
        metadata = data.draw(st.none() | st.lists(METADATA, min_size=size, max_size=size))
        picked = data.draw(st.lists(st.integers(0, len(POOL) - 1), min_size=size, max_size=size))
        vectors = POOL[picked].reshape(size, DIMENSION)
        added = self.index.add_vectors(vectors, texts, keys=keys, metadata=metadata)
        if keys is not None:
            assert added == keys
        elif self.keys == "int":
            assert added == list(range(self.next_key, self.next_key + size))
        else:
            assert added == sorted(set(added) - set(self.model))
        for i, key in enumerate(added):
            entry = (texts[i], metadata[i] if metadata else None, vectors[i])
            self.model.pop(key, None)  # what replaces an entry goes to the end
            self.model[key] = entry
        if self.keys == "int":
            self.next_key = max([self.next_key, *(key + 1 for key in added)])

    @rule(numbers=st.lists(NUMBERS, max_size=8))
    def remove(self, numbers: list[int]) -> None:
        keys = [*map(KEYS[self.keys], numbers)]
        assert self.index.remove(keys) == len(set(keys) & set(self.model))
        for key in keys:
            self.model.pop(key, None)

    @rule(which=st.sampled_from(FILTERS[1:]))
    def remove_by_a_filter(self, which: tuple[dict, Callable[[dict], bool]]) -> None:
        where, passes = which
        left = {key: entry for key, entry in self.model.items() if not passes(entry[1] or {})}
        assert self.index.remove(where=where) == len(self.model) - len(left)
        self.model = left

    @rule(data=st.data(), merge=st.booleans())
    def update(self, data: st.DataObject, merge: bool) -> None:
        absent = KEYS[self.keys](99)
        keys = data.draw(st.lists(st.sampled_from([*self.model, absent]), unique=True, max_size=8))
        documents = data.draw(st.lists(METADATA, min_size=len(keys), max_size=len(keys)))
        if absent in keys and absent not in self.model:
            with pytest.raises(InputValueError, match="there is no entry"):
                self.index.update(keys, documents, merge=merge)
            return
        changed = 0
        for key, document in zip(keys, documents, strict=True):
            text, former, vector = self.model[key]
            new = document
            if merge:
                new = former if document is None else {**(former or {}), **document}
            if new != former:
                changed += 1
                del self.model[key]  # it goes to the end
                self.model[key] = (text, new, vector)
        assert self.index.update(keys, documents, merge=merge) == changed

    @rule(which=st.sampled_from(FILTERS))
    def walk(self, which: tuple[dict | None, Callable[[dict], bool]]) -> None:
        where, passes = which
        expected = [(Entry(key, *entry[:2]), entry[2]) for key, entry in self.model.items() if passes(entry[1] or {})]
        for index in (self.index, self.reader):
            assert index.count(where) == len(expected)
            pairs = list(index.entries(where, vectors=True))
            assert [entry for entry, _ in pairs] == [entry for entry, _ in expected]
            assert all(np.array_equal(found, vector) for (_, found), (_, vector) in zip(pairs, expected, strict=True))
            keys = [entry.key for entry, _ in expected]
            assert np.array_equal(index.vectors(keys), np.reshape([vector for _, vector in expected], (-1, DIMENSION)))

    @rule(which=st.sampled_from(FILTERS), count=st.integers(1, 9), after=st.none() | NUMBERS)
    def page(self, which: tuple[dict | None, Callable[[dict], bool]], count: int, after: int | None) -> None:
        where, passes = which
        begin = None if after is None else KEYS[self.keys](after)
        keys = sorted(key for key, entry in self.model.items() if passes(entry[1] or {}))
        expected = [key for key in keys if begin is None or key > begin][:count]
        for index in (self.index, self.reader):
            pairs = index.page(count, after=begin, where=where, vectors=True)
            assert [entry for entry, _ in pairs] == index.get(expected) == index.page(count, after=begin, where=where)
            assert all(np.array_equal(vector, self.model[entry.key][2]) for entry, vector in pairs)

    @rule()
    def compact(self) -> None:
        self.index.compact()

    @rule()
    def checkpoint(self) -> None:
        self.index.checkpoint()

    @rule()
    def reopen(self) -> None:
        self.index.close()
        self.index = Index(self.folder / "index", limits=TINY)

    @rule(
        picked=st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=5),
        k=st.integers(1, 30),
        threshold=st.none() | st.floats(-1, 1),
        which=st.sampled_from(FILTERS),
        exact=st.sampled_from([None, True]),
    )
    def search(
        self,
        picked: list[int],
        k: int,
        threshold: float | None,
        which: tuple[dict | None, Callable[[dict], bool]],
        exact: bool | None,
    ) -> None:
        where, passes = which
        expected = [self.expected(POOL[i], k, threshold, passes) for i in picked]
        for index in (self.index, self.reader):
            hits_by_query = index.search(POOL[picked], k, threshold=threshold, where=where, exact=exact)
            if exact:
                assert hits_by_query == expected
            else:
                # A graph of so few holds them all; but of equal scores it may know others first.
                scores = [[hit.score for hit in hits] for hits in hits_by_query]
                assert scores == [[hit.score for hit in hits] for hits in expected]
                assert all(self.model[hit.key][:2] == hit[2:] for hits in hits_by_query for hit in hits)

    def expected(self, query: np.ndarray, k: int, threshold: float | None, passes: Callable[[dict], bool]) -> list[Hit]:
        hits = []
        for key, (text, metadata, vector) in self.model.items():
            left, right = query.astype(np.float64), vector.astype(np.float64)
            score = float(np.float32(left @ right / np.sqrt((left @ left) * (right @ right))))
            below = threshold is not None and score < np.float32(threshold)
            if not below and passes(metadata or {}):
                hits.append(Hit(key, score, text, metadata))
        return sorted(hits, key=lambda hit: (-hit.score, hit.key))[:k]

    @rule()
    def build_keywords(self) -> None:
        self.index.build_keywords()
        self.keywords = True

    @rule(
        queries=st.lists(st.lists(st.sampled_from([*WORDS, "absent"]), max_size=3), min_size=1, max_size=5),
        k=st.integers(1, 30),
        which=st.sampled_from(FILTERS),
        picked=st.integers(0, len(POOL) - 1),
    )
    def search_words(
        self, queries: list[list[str]], k: int, which: tuple[dict | None, Callable[[dict], bool]], picked: int
    ) -> None:
        where, passes = which
        vectors, texts = POOL[[picked] * len(queries)], ["; ".join(words).upper() for words in queries]
        for index in (self.index, self.reader):
            if not self.keywords:
                with pytest.raises(SearchIndexError, match="no index of its words"):
                    index.search(texts, k, mode="keywords")
                continue
            found = index.search(texts, 99, where=where, mode="keywords")
            for words, hits in zip(queries, found, strict=True):
                assert sorted((hit.key, *hit[2:]) for hit in hits) == self.holding(words, passes)
                assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.key))
                assert all(hit.score > 0 for hit in hits)
            assert index.search(texts, k, where=where, mode="keywords") == [hits[:k] for hits in found]
            hybrid = index.search(vectors, k, where=where, mode="hybrid", exact=True, keywords=texts)
            near = self.expected(POOL[picked], 99, None, passes)
            assert hybrid == [joined(near, hits)[:k] for hits in found]

    def holding(self, words: list[str], passes: Callable[[dict], bool]) -> list[tuple[Any, str, dict | None]]:
        return sorted(
            (key, text, metadata)
            for key, (text, metadata, _) in self.model.items()
            if passes(metadata or {}) and any(word in text for word in words)
        )

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "index"):
            return
        numbers = [*range(16), 2**63, 2**63 + 9, self.next_key - 1 if self.next_key else 99]
        keys = [*{*map(KEYS[self.keys], numbers), *self.model}]
        expected = [Entry(key, *self.model[key][:2]) if key in self.model else None for key in keys]
        for index in (self.index, self.reader):
            assert len(index) == len(self.model)
            assert index.get(keys) == expected


@pytest.mark.parametrize(("keys", "examples"), [("int", 40), ("str", 20), ("uuid", 20)])
def test_against_a_model(artifact: Path, keys: str, examples: int) -> None:
    machine = type("Machine", (IndexMachine,), {"artifact": artifact, "keys": keys})
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None))


@pytest.mark.parametrize("text", ["a\0b", "\x7f", "\ufeff", "\ufffe", "e\u0301", "👩‍👩‍👧"])
def test_texts_come_back_as_they_were(tmp_path: Path, artifact: Path, text: str) -> None:
    with Index.create(tmp_path / "index", artifact) as index:
        index.add_vectors(unit_vectors(1), [text], metadata=[{text: text}])
        assert index.get([0]) == [Entry(0, text, {text: text})]
