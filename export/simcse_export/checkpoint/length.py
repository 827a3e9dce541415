"""The longest text that an artifact takes, and what says so."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcse_engine.errors import CheckpointError
from simcse_engine.wording import Wording, argument

from .json_file import shown

if TYPE_CHECKING:
    from .checkpoint import Checkpoint
    from .reference import Reference

# SimCSE trains on 32 tokens; its code encodes up to this many by default.
DEFAULT_MAX_TOKENS = 128

# Two special tokens and one of the text.
_MIN_TOKENS = 3

# transformers writes 10^30 where a tokenizer has no limit.
_LIMITLESS = 10**9

_POSITIONS = "max_position_embeddings"


@dataclass(frozen=True, kw_only=True)
class Length:
    """A count of tokens, special ones included.

    Attributes:
        tokens: the count.
        source: what says so, for people, such as "max_seq_length in sentence_bert_config.json".
    """

    tokens: int
    source: str

    @classmethod
    def stated(cls, value: Any, key: str, path: Path) -> "Length | None":
        """What a key of a file says; None where it sets no limit."""
        if value is None or (isinstance(value, int | float) and value > _LIMITLESS):
            return None
        if type(value) is not int:
            raise CheckpointError(f"{path}: {key} is {shown(value)}; expected a count of tokens")
        return cls(tokens=value, source=f"{key} in {path.name}")


def choose_length(checkpoint: "Checkpoint", choice: int | None, reference: "Reference") -> Length:
    """The user's choice, else what sentence-transformers takes for its folders, else `DEFAULT_MAX_TOKENS`.

    Where a folder states more tokens than the model has positions for, these are the limit: sentence-transformers
    itself fails on a longer text.
    """
    most = checkpoint.positions
    if choice is not None:
        length = Length(tokens=choice, source="as chosen")
    else:
        if checkpoint.stated is None:
            length = Length(tokens=DEFAULT_MAX_TOKENS, source="SimCSE's default")
        else:
            length = checkpoint.stated.length or _inferred_length(checkpoint, reference)
        if most is not None and length.tokens > most:
            length = Length(tokens=most, source=f"{_POSITIONS} in config.json")
    if length.tokens < _MIN_TOKENS or (most is not None and length.tokens > most):
        raise CheckpointError(
            argument("max_tokens", length.tokens),
            f"{'' if choice is not None else f' ({length.source})'}: {checkpoint.id} takes from {_MIN_TOKENS} to "
            f"{most or 'any number of'} tokens",
        )
    return length


def _inferred_length(checkpoint: "Checkpoint", reference: "Reference") -> Length:
    """The tokenizer's length or the positions, whichever is less, as in the library's `Transformer`."""
    folder, positions = checkpoint.folder, getattr(reference.config, _POSITIONS, None)
    lengths = (
        Length.stated(reference.tokenizer.model_max_length, "model_max_length", folder / "tokenizer_config.json"),
        # XLNet says -1.
        Length.stated(None if positions == -1 else positions, _POSITIONS, folder / "config.json"),
    )
    length = min((each for each in lengths if each), key=lambda each: each.tokens, default=None)
    if length is None:
        option = Wording("max_tokens=…", "--max-tokens N")
        raise CheckpointError(f"{checkpoint.id}: its files state no longest text; pass ", option)
    return length
