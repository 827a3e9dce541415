"""The first tokens of a long text, read piece by piece: as far as they reach, a few thousand characters at a time.

A call into the library takes time and memory by the length of its text, and holds the interpreter's lock. So a long
text is handed over in pieces; each begins with some words of the one before (docs/decisions/009-tokenization.md).

- Words that have ended are taken (`_last_ended`). Proven, unless a pre-tokenizer looks further ahead than `reach`
  characters; then pieces that do not fit together, or that change with their last character, mostly tell.
- A word without an end is cut where the text gives the same ids wherever it ends (`_is_settled`). Proven for merges and
  best paths whose entries have up to `_ENDS` characters; else an agreement of growing prefixes.
- A stretch that gives one token or none is kept short (`_squeezed`). An agreement: less of it gives the same ids.

What none of these settles is read whole.
"""

import unicodedata
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenizers

_PIECE = 4096
# Most tokens take fewer characters.
_CHARS_PER_TOKEN = 8
# So many neighbouring ends of a text must agree. Few vocabularies have longer entries.
_ENDS = 64

Encode = Callable[[str], "tokenizers.Encoding"]


class _Tokens:
    """What the library makes of a piece.

    Attributes:
        before, after: the special tokens around it.
        ids, words, starts, ends: of the others: ids, numbers of words, and between which characters they are.
    """

    def __init__(self, encoding: "tokenizers.Encoding") -> None:
        special, ids = encoding.special_tokens_mask, encoding.ids
        first = special.index(0) if 0 in special else len(ids)
        last = len(ids) - (special[::-1].index(0) if 0 in special else 0)
        self.before, self.ids, self.after = ids[:first], ids[first:last], ids[last:]
        self._encoding, self._others = encoding, slice(first, last)

    # Made when they are asked for: many pieces, and the longest, are read for their ids alone.
    @cached_property
    def words(self) -> list[int | None]:
        words: list[int | None] = self._encoding.word_ids
        return words[self._others]

    @cached_property
    def _offsets(self) -> list[tuple[int, int]]:
        offsets: list[tuple[int, int]] = self._encoding.offsets
        return offsets[self._others]

    @cached_property
    def starts(self) -> list[int]:
        return [start for start, _ in self._offsets]

    @cached_property
    def ends(self) -> list[int]:
        return [end for _, end in self._offsets]

    def index(self, position: int) -> int:
        """The first token from this character on; -1 if one lies across it."""
        index = next((i for i, start in enumerate(self.starts) if start >= position), len(self.ids))
        across = max(self.ends[:index], default=0) > position or min(self.starts[index:], default=position) < position
        return -1 if across else index

    def goes_on(self, position: int) -> bool:
        """Whether a token begins at this character and does not end its word."""
        at = max((i for i, start in enumerate(self.starts) if start == position), default=len(self.ids))
        return at + 1 < len(self.ids) and self.words[at] == self.words[at + 1]

    def word_ends(self) -> Iterator[tuple[int, int]]:
        """Where words end, from the last but one to the first: the next word's first token, and the character."""
        furthest, least = list(accumulate(self.ends, max)), list(accumulate(reversed(self.starts), min))[::-1]
        for i in range(len(self.ids) - 1, 0, -1):
            if self.words[i] != self.words[i - 1] and self.starts[i - 1] < furthest[i - 1] <= least[i]:
                yield i, furthest[i - 1]


class Reader:
    """Reads one long text."""

    def __init__(self, encode: Encode, text: str, max_tokens: int, reach: int) -> None:
        """``reach`` characters are more than a subword, an added token, or a word that has subwords can have."""
        self._encode = encode
        self._text = text
        self._max_tokens = max_tokens
        self._reach = reach
        # Up to where ends were tried that give other tokens, in what is held.
        self._unsettled = 0

    def read(self) -> tuple[list[int], bool]:
        """The ids of the text's first ``max_tokens`` tokens, special ones included, and whether it has more."""
        return self._by_words() or self._by_prefixes()

    def _by_words(self) -> tuple[list[int], bool] | None:
        """Take words that have ended, piece by piece; None if the pieces do not fit together."""
        taken: list[int] = []
        # What was read and is not taken yet, behind some words that are: they end at `done`, with the tokens `seam`.
        held, done, seam = "", 0, list[int]()
        # Where a token begins of which only a part is held.
        short = -1
        read, step = 0, self._first_step
        while True:
            held += self._text[read : read + step]
            read += step
            tokens = _Tokens(self._encode(held))
            first = tokens.index(done)
            if first < len(seam) or tokens.ids[first - len(seam) : first] != seam or tokens.goes_on(short):
                return None
            if read >= len(self._text):
                return self._cut(tokens, taken + tokens.ids[first:])
            missing = self._enough(tokens) - len(taken)
            last, end = self._last_ended(tokens, held)
            if last <= first:
                if self._is_settled(tokens, first + missing, held, read):
                    return self._cut(tokens, taken + tokens.ids[first:])
                squeezed, at = self._squeezed(tokens, held)
                step = _PIECE if len(squeezed) < len(held) else len(held)
                held, short = squeezed, max(at, short)
                continue
            taken += tokens.ids[first:last]
            if last - first >= missing:
                return self._cut(tokens, taken)
            # The last word comes again. The words before it are to keep the piece's start away from it.
            before = [(token, place) for token, place in tokens.word_ends() if token < last]
            word = before[0][0] if before else 0
            start = next((place for _, place in before[1:] if place <= before[0][1] - self._reach), 0)
            seam, held, done, short = tokens.ids[word:last], held[start:], end - start, max(short - start, -1)
            self._unsettled = 0
            step = min(_PIECE, _CHARS_PER_TOKEN * (missing - (last - first)) + 2 * self._reach)

    def _by_prefixes(self) -> tuple[list[int], bool]:
        """Read from the start of the text, twice as far each time, until it is settled."""
        read, self._unsettled = self._first_step, 0
        while True:
            held = self._text[:read]
            tokens = _Tokens(self._encode(held))
            if read >= len(self._text) or self._is_settled(tokens, self._enough(tokens), held, read):
                return self._cut(tokens, tokens.ids)
            read *= 2

    @property
    def _first_step(self) -> int:
        return min(_PIECE, _CHARS_PER_TOKEN * self._max_tokens + 3 * self._reach)

    def _enough(self, tokens: _Tokens) -> int:
        """Tokens that decide: as many as are kept, and one more."""
        return self._max_tokens - len(tokens.before) - len(tokens.after) + 1

    def _cut(self, tokens: _Tokens, ids: list[int]) -> tuple[list[int], bool]:
        most = self._enough(tokens) - 1
        return [*tokens.before, *ids[:most], *tokens.after], len(ids) > most

    def _last_ended(self, tokens: _Tokens, held: str) -> tuple[int, int]:
        """Where the last word ends that stays as it is, whatever follows: the next token, and the character.

        Two words and `reach` characters follow it, and what is loose there is not its neighbour. A pre-tokenizer might
        look further ahead; then it mostly does so one character earlier too.
        """
        limit = max(len(held) - self._reach, 0)
        while limit and _is_loose(held[limit - 1]):
            limit -= 1
        # The first accent may be part of the character before it.
        limit -= 1
        ends = [
            (token, end)
            for token, end in tokens.word_ends()
            if end <= limit and tokens.words[token] != tokens.words[-1]
        ]
        if not ends:
            return 0, 0
        other = _Tokens(self._encode(held[:-1]))
        pairs = zip(zip(tokens.ids, tokens.words, strict=True), zip(other.ids, other.words, strict=True), strict=False)
        alike = next((i for i, (one, two) in enumerate(pairs) if one != two), len(other.ids))
        return next(((token, end) for token, end in ends if token <= alike), (0, 0))

    def _is_settled(self, tokens: _Tokens, count: int, held: str, read: int) -> bool:
        """Whether the first ``count`` tokens stay as they are, though their word may have no end.

        They do if the text gives them wherever it ends: at any of `_ENDS` neighbouring characters, so many tokens
        behind them that no word with subwords reaches there.
        """
        needed = count + self._reach + _ENDS
        if len(tokens.ids) < needed:
            return False
        ids, end = tokens.ids[:count], max(tokens.ends[:needed])
        if end <= self._unsettled:
            end = max(tokens.ends)
        if end <= self._unsettled:
            return False
        self._unsettled = end
        ends = (held[: end - i] for i in range(_ENDS))
        return self._gives(held[:end] + self._ahead(held[end:], read), ids) and all(self._gives(e, ids) for e in ends)

    def _gives(self, held: str, ids: list[int]) -> bool:
        given: list[int] = _Tokens(self._encode(held)).ids[: len(ids)]
        return given == ids

    def _ahead(self, rest: str, read: int) -> str:
        """What follows in the text: white space and accents, however many, each once, and what is behind them."""
        loose: dict[str, None] = {}
        while True:
            solid = {char for char in set(rest) if not _is_loose(char)}
            first = next(i for i, char in enumerate(rest) if char in solid) if solid else len(rest)
            loose |= dict.fromkeys(rest[:first])
            if solid or read >= len(self._text):
                return "".join(loose) + (rest[first:] + self._text[read : read + self._reach])[: self._reach]
            rest = self._text[read : read + _PIECE]
            read += _PIECE

    def _squeezed(self, tokens: _Tokens, held: str) -> tuple[str, int]:
        """A piece with less at its end, if that gives one token or none, and where this token begins, or -1.

        Such are spaces, characters that are dropped, words that are too long, and what the model does not know. Each
        character stays once, so that a space among accents goes on parting the words beside them.
        """
        start, at = max(tokens.ends, default=0), -1
        if tokens.ids and tokens.ends[-1] - tokens.starts[-1] > 2 * self._reach:
            start = at = tokens.starts[-1]
        head, rest, tail = held[: start + self._reach], held[start + self._reach : -self._reach], held[-self._reach :]
        squeezed = head + "".join(dict.fromkeys(rest)) + tail
        if len(held) - start < 2 * (len(squeezed) - start):
            return held, -1
        # White space at the end of a text alone may be dropped, so there a letter follows.
        behind = "a" if held[-1].isspace() else ""
        ids = _Tokens(self._encode(held + behind)).ids if behind else tokens.ids
        return (squeezed, at) if _Tokens(self._encode(squeezed + behind)).ids == ids else (held, -1)


@lru_cache(1024)
def _is_loose(char: str) -> bool:
    """White space, which an added token behind it may swallow, or an accent, which a normalizer may move forward.

    Also what a normalizer may make one of them, or drop: control and format characters, such as zero-width spaces.
    """
    return char == "\ufffd" or all(
        each.isspace() or unicodedata.combining(each) != 0 or unicodedata.category(each) in ("Cc", "Cf")
        for each in unicodedata.normalize("NFKD", char)
    )
