"""Texts → token ids, exactly as transformers' fast tokenizer gives them, with a note of what was cut."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import tokenizers

from .errors import InputValueError, IntegrityError
from .wording import argument

# The longest text to hand over at once: of CJK, it holds the interpreter's lock for about 10 ms.
LONGEST = 8192
# Texts that are counted together, which bounds the memory for it.
_COUNTED = 2048
# More characters than a subword has.
_LEAST_REACH = 127


@dataclass(frozen=True)
class Tokens:
    """Tokenized texts."""

    ids: list[list[int]]  # of each text, special tokens included
    cut: list[int]  # positions of the texts that were longer than `max_tokens`


class Token(NamedTuple):
    """A token and its place in a text.

    Attributes:
        id: in the vocabulary.
        text: the part of the text that it stands for; a special token's name.
        special: whether the tokenizer has added it.
        start: the first of its bytes in the text's UTF-8; None for a special token.
        stop: the byte after its last; None for a special token.
    """

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class Tokenizer:
    """The artifact's tokenizer; `encode` may be called from many threads at once."""

    def __init__(self, path: Path, max_tokens: int, *, together: bool = False) -> None:
        """Load ``tokenizer.json``; ``max_tokens`` replaces the padding and truncation that it states.

        With ``together``, many texts are tokenized on the library's own threads, one per CPU, which then stay.
        """
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises bare Exception
            raise IntegrityError(
                f"{path}: tokenizers {tokenizers.__version__} cannot read it ({error}); upgrade tokenizers"
            ) from error
        least = self._tokenizer.num_special_tokens_to_add(False) + 1
        if max_tokens < least:
            raise InputValueError(argument("max_tokens", max_tokens), f": this tokenizer needs at least {least}")
        self.max_tokens = max_tokens
        self._together = together
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Tokenize texts that `simcse_engine.inputs.check_texts` has passed."""
        if self._together and len(texts) > 1 and max(map(len, texts)) <= LONGEST:
            return self._encode_together(texts)
        ids, cut = [], []
        for position, (kept, longer) in enumerate(self._kept(texts)):
            ids.append(kept)
            if longer:
                cut.append(position)
        return Tokens(ids, cut)

    def _encode_together(self, texts: Sequence[str]) -> Tokens:
        """As `encode`, of texts that are not long, in as few steps of Python for each as can be.

        While they run, nothing else of the process does (docs/decisions/009-tokenization.md).
        """
        encodings = self._tokenizer.encode_batch_fast(texts)
        ids = [encoding.ids for encoding in encodings]
        cut = [position for position, count in enumerate(map(len, ids)) if count > self.max_tokens]
        for position in cut:
            ids[position], _ = self._cut(encodings[position])
        return Tokens(ids, cut)

    def counts(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, special ones included; nothing is cut."""
        counts: list[int] = []
        for start in range(0, len(texts), _COUNTED):
            part = texts[start : start + _COUNTED]
            counts += [len(encoding.ids) for encoding in self._whole(part)]
        return counts

    def count_prompt(self, prompt: str) -> int:
        """How many first tokens of a text behind a prompt are the prompt's, as sentence-transformers counts them.

        They are those of the prompt alone, without a special one at its end.
        """
        ids = self._encode(prompt).ids
        added = self._tokenizer.get_added_tokens_decoder()
        special = bool(ids) and ids[-1] in added and added[ids[-1]].special
        return min(len(ids), self.max_tokens) - special

    def describe(self, text: str, *, special_tokens: bool) -> Iterator[Token]:
        """All tokens of a text, however long it is; other threads run meanwhile."""
        encoding = self._tokenizer.encode_batch([text], add_special_tokens=special_tokens)[0]
        ends = None if text.isascii() else list(accumulate(map(_utf8_bytes, text), initial=0))
        for id_, name, special, (start, stop) in zip(
            encoding.ids, encoding.tokens, encoding.special_tokens_mask, encoding.offsets, strict=True
        ):
            if special:
                yield Token(id_, name, True, None, None)
            elif ends is None:
                yield Token(id_, text[start:stop], False, start, stop)
            else:
                yield Token(id_, text[start:stop], False, ends[start], ends[stop])

    def _kept(self, texts: Sequence[str]) -> Iterator[tuple[list[int], bool]]:
        """Of each text the ids that are kept, and whether there are more."""
        if self._together and len(texts) > 1:
            short = self._short(texts)
            return (self._cut(next(short)) if len(text) <= LONGEST else self._read(text) for text in texts)
        # One by one: a batch, even of one, starts the library's own thread pool, which heeds neither the encoder's
        # thread count nor a fork. One thread tokenizes far faster than a CPU runs the graph
        # (docs/decisions/009-tokenization.md).
        encode = self._tokenizer.encode
        return (self._cut(encode(text)) if len(text) <= LONGEST else self._read(text) for text in texts)

    def _whole(self, texts: Sequence[str]) -> Iterator[tokenizers.Encoding]:
        """All tokens of each text."""
        if self._together and len(texts) > 1:
            short = self._short(texts)
            return (next(short) if len(text) <= LONGEST else self._encode(text) for text in texts)
        return map(self._encode, texts)

    def _short(self, texts: Sequence[str]) -> Iterator[tokenizers.Encoding]:
        """The tokens of those texts that are not long, on the library's own threads."""
        return iter(self._tokenizer.encode_batch_fast([text for text in texts if len(text) <= LONGEST]))

    def _cut(self, encoding: tokenizers.Encoding) -> tuple[list[int], bool]:
        ids = encoding.ids
        if len(ids) <= self.max_tokens:
            return ids, False
        after = encoding.special_tokens_mask[::-1].index(0)
        return ids[: self.max_tokens - after] + ids[len(ids) - after :], True

    def _read(self, text: str) -> tuple[list[int], bool]:
        from .pieces import Reader  # lazily: few texts are long

        return Reader(self._encode, text, self.max_tokens, self._reach).read()

    def _encode(self, piece: str) -> tokenizers.Encoding:
        """Encode a text or a piece of one.

        Only a batch lets other threads run meanwhile; one of a single text stays on this thread.
        """
        if len(piece) <= LONGEST:
            return self._tokenizer.encode(piece)
        return self._tokenizer.encode_batch([piece])[0]

    @cached_property
    def _reach(self) -> int:
        added = self._tokenizer.get_added_tokens_decoder().values()
        # Only WordPiece has a longest word.
        word = getattr(self._tokenizer.model, "max_input_chars_per_word", 0)
        return 1 + max(_LEAST_REACH, word, *(len(token.content) for token in added))


def _utf8_bytes(character: str) -> int:
    return len(character.encode())
