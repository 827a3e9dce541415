"""Generated sentences, to measure with where no texts are given: English-like, distinct, of natural lengths."""

import random

_ARTICLES = "the|the|one|this|every"
_WAYS = "old|young|quiet|famous|tired|cheerful|careful|local|retired|curious|small|friendly|serious|lonely"
_PEOPLE = "man|woman|child|teacher|farmer|doctor|singer|neighbour|driver|student|painter|officer|reporter|captain"
_DEEDS = "carries|repairs|watches|describes|sells|paints|finds|drops|collects|inspects|borrows|hides"
_THINGS = "guitar|bicycle|letter|basket|newspaper|camera|ladder|piano|ticket|lantern|blanket|suitcase"
_WHERE = "near|behind|beside|outside|opposite|in"
_PLACES = "street|park|kitchen|station|harbour|garden|office|market|museum|school|bridge|village|airport|stadium"
_WHEN = "in the morning|after the storm|last year|before lunch|on Monday|without a word|for the first time"
_LINKS = ", and|, but|, while|; meanwhile|, because|, although"
# How many clauses a sentence has, and how often: most are short and a few long, as in STS.
_CLAUSES, _WEIGHTS = (1, 2, 3, 4, 6), (60, 27, 9, 3, 1)


def sentences(count: int) -> list[str]:
    """Make ``count`` distinct sentences of 5 to about 70 words, 14 on average; the same ones every time."""
    chance = random.Random(0)
    texts: dict[str, None] = {}
    while len(texts) < count:
        clauses = [_clause(chance) for _ in range(chance.choices(_CLAUSES, _WEIGHTS)[0])]
        text = clauses[0] + "".join(f"{_one(chance, _LINKS)} {clause}" for clause in clauses[1:])
        texts[f"{text[0].upper()}{text[1:]}."] = None
    return list(texts)


def _clause(chance: random.Random) -> str:
    person = _one(chance, _PEOPLE)
    if chance.random() < 0.5:
        person = f"{_one(chance, _WAYS)} {person}"
    text = f"{_one(chance, _ARTICLES)} {person} {_one(chance, _DEEDS)} the {_one(chance, _THINGS)}"
    if chance.random() < 0.7:
        text += f" {_one(chance, _WHERE)} the {_one(chance, _PLACES)}"
    if chance.random() < 0.4:
        text += f" {_one(chance, _WHEN)}"
    return text


def _one(chance: random.Random, words: str) -> str:
    return chance.choice(words.split("|"))
