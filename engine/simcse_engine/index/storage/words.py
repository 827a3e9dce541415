"""Words: what SQLite's FTS5 is given of an entry's text, and what it is asked for a query's.

FTS5 takes a run of letters and digits as a word. Of languages that put no spaces between words that would be a whole
clause, so their characters go in pairs, as search engines have them.
"""

import re
import unicodedata
from collections.abc import Iterator

# Thai, Lao, Burmese, Khmer, kana, bopomofo, hangul, Chinese characters. An index keeps pairs of these: to change them,
# `About.format` must rise.
_UNSPACED = re.compile(
    "[\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecd\u1000-\u103f\u1050-\u108f\u1780-\u17d3\u3041-\u309a\u309d-\u309f"
    "\u30a1-\u30fa\u30fc-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff]+"
)
# Of a query's words that differ; most artifacts take in no more.
_MOST_WORDS = 128


def paired(text: str) -> str:
    """A text for FTS5, with each character of unspaced languages before the next one, the last of a run alone.

    So each begins one word, and a query of a single character finds it as the beginning of one.

    >>> paired("日本語 in Kyōto")
    ' 日本 本語 語  in Kyōto'
    """
    if text.isascii():
        return text
    return _UNSPACED.sub(lambda run: f" {' '.join(run[0][i : i + 2] for i in range(len(run[0])))} ", text)


def expressions(query: str) -> list[str]:
    """The words of a query, each once, as expressions of FTS5; they can be joined by OR.

    >>> expressions("Don't drop: 日本語, NEAR/2")
    ['"Don"', '"t"', '"drop"', '"日本"', '"本語"', '"NEAR"', '"2"']
    """
    # By the word in lower case. FTS5 itself is given it as it stands: it knows fewer capitals than Python, and leaves
    # the others in the texts as they are.
    found: dict[str, str] = {}
    for word in _spaced(query).split():
        for expression in _of_word(word):
            found.setdefault(expression.lower(), expression)
        if len(found) >= _MOST_WORDS:
            break
    return list(found.values())[:_MOST_WORDS]


def _of_word(word: str) -> Iterator[str]:
    last = 0
    for run in _UNSPACED.finditer(word):
        yield from _quoted(word[last : run.start()])
        yield from _pairs(run[0])
        last = run.end()
    yield from _quoted(word[last:])


def _spaced(query: str) -> str:
    """A query with a space for all but letters, marks and digits: quotes and NULs, too."""
    kept = {c: c if unicodedata.category(c)[0] in "LMN" or unicodedata.category(c) == "Co" else " " for c in set(query)}
    return query.translate({ord(c): by for c, by in kept.items()})


def _quoted(word: str) -> list[str]:
    return [f'"{word}"'] if word else []


def _pairs(run: str) -> list[str]:
    if len(run) == 1:
        return [f'"{run}" *']
    return [f'"{run[i : i + 2]}"' for i in range(len(run) - 1)]
