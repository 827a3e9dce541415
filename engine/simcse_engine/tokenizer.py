"""Texts → token ids, exactly as transformers' fast tokenizer gives them, with a note of what was cut."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tokenizers

from .errors import InputValueError, IntegrityError

# Far more than the words of any language take.
_CHARS_PER_TOKEN = 64


@dataclass(frozen=True)
class Tokens:
    """Tokenized texts."""

    ids: list[list[int]]  # of each text, special tokens included
    cut: list[int]  # positions of the texts that were longer than `max_tokens`


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
            raise InputValueError(f"max_tokens={max_tokens}: this tokenizer needs at least {least}")
        self.max_tokens = max_tokens
        self._together = together
        self._most_chars = _CHARS_PER_TOKEN * max_tokens
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Tokenize texts that `simcse_engine.inputs.check_texts` has passed."""
        ids, cut = [], []
        for position, encoding in enumerate(self._encodings(texts)):
            ids.append(encoding.ids)
            # The length first, as the list of overflowing pieces is built when it is read.
            if len(encoding.ids) == self.max_tokens and encoding.overflowing:
                cut.append(position)
        return Tokens(ids, cut)

    def _encodings(self, texts: Sequence[str]) -> Iterator[tokenizers.Encoding]:
        if self._together and len(texts) > 1:
            short = iter(self._tokenizer.encode_batch_fast([text for text in texts if not self._is_long(text)]))
            return (self._encode(text) if self._is_long(text) else next(short) for text in texts)
        # One by one: a batch, even of one, starts the library's own thread pool, which heeds neither the encoder's
        # thread count nor a fork. One thread tokenizes far faster than a CPU runs the graph
        # (docs/decisions/009-tokenization.md).
        return map(self._encode, texts)

    def _is_long(self, text: str) -> bool:
        return len(text) > self._most_chars

    def _encode(self, text: str) -> tokenizers.Encoding:
        """Encode a text; of a very long one, only the part that decides what is kept.

        To tokenize a text takes time, and memory many times its size, for tokens that are then cut. Words do not reach
        across a space, so the text before one has the tokens of the whole text, at least far from its end.
        """
        if self._is_long(text):
            end = text.rfind(" ", 0, self._most_chars)
            encoding = self._tokenizer.encode(text[: max(end, 0)])
            # Two pieces more than what is kept: the end of the part is far from it.
            if len(encoding.overflowing) > 2:
                return encoding
        return self._tokenizer.encode(text)
