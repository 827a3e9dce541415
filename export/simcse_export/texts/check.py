"""The texts that every artifact is checked on."""

import bisect
import itertools
from collections.abc import Callable

# Several registers, scripts and oddities. Written for this project.
_TEXTS = [
    "",
    " ",
    "a",
    "Hello",
    "7",
    "?!",
    "A man plays a guitar.",
    "Someone is making music on a small stage.",
    "The cat sat on the mat, and the dog did not mind.",
    "There is no train to the coast after nine o'clock on Sundays.",
    "Revenue rose 4.7 % to $1,204.50 in Q3, ahead of what analysts had expected.",
    "Dr. Smith's e-mail (j.smith@example.org) bounced; see https://example.org/a?b=c&d=1#top",
    "def f(x):\n\treturn {k: v for k, v in x.items() if v is not None}",
    "ALL CAPITALS ARE HARD TO READ AND SELDOM NEEDED",
    "lol that was sooo gooood 😂😂 #bestday @friend",
    "Le cœur a ses raisons que la raison ne connaît point.",
    "Größere Übungen für müde Füße, straßauf, straßab.",
    "El niño comió piñas en la montaña; ¿quién lo vio?",
    "В чащах юга жил бы цитрус? Да, но фальшивый экземпляр!",
    "一个男人在弹吉他。",
    "東京の冬は乾いていて、空がとても青い。",
    "한국어 문장도 하나 넣어 봅시다.",
    "الكتاب على الطاولة بجانب النافذة.",
    "यह एक छोटा वाक्य है।",
    "e\u0301 and é, ﬁ and fi, Ⅳ and IV, x² and x2",
    "zero\u200bwidth, no\u00a0break, soft\u00adhyphen, \u202eright to left\u202c",
    "a\x00b\x07c\x1bd control characters \x7f",
    "[CLS] a text that names special tokens [SEP] [PAD] [MASK] [UNK]",
    "<s> and those of another family </s> <pad> <mask> <unk>",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
]

_RUN = (
    "the river ran high that spring and the old bridge which had stood since before anyone could remember shook "
    "when carts went over it so people took the long way round by the mill and were late for market "
)


def check_texts(count_tokens: Callable[[str], int], max_tokens: int) -> list[str]:
    """About 40 texts of many lengths, from empty to over-long; some just below, at and above ``max_tokens``.

    ``count_tokens`` counts a text's tokens, special ones included, without a limit.
    """
    targets = sorted({3, max_tokens // 8, max_tokens // 4, max_tokens // 2, max_tokens - 1, max_tokens, max_tokens + 1})
    grown = [_grow(target, count_tokens) for target in targets if target >= 3]
    return [*_TEXTS, *grown, _RUN * (max_tokens // len(_RUN.split()) + 2)]


def _grow(tokens: int, count_tokens: Callable[[str], int]) -> str:
    """The longest run of ordinary words of at most so many tokens, filled up with the shortest word."""
    # No more words than tokens: each has one at least.
    run = _longest(list(itertools.islice(itertools.cycle(_RUN.split()), tokens)), tokens, count_tokens)
    return " ".join(_longest([*run, *["a"] * (tokens - len(run))], tokens, count_tokens))


def _longest(words: list[str], tokens: int, count_tokens: Callable[[str], int]) -> list[str]:
    """As many of the first words as make at most so many tokens together."""
    # Every word adds tokens, so bisection finds the number: counting again after each word takes quadratic time.
    counts = range(1, len(words) + 1)
    return words[: bisect.bisect_right(counts, tokens, key=lambda count: count_tokens(" ".join(words[:count])))]
