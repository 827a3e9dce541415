"""How all rows of a folder are encoded: what a run that goes on must have in common with the one that began."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from ..artifact.manifest import Manifest
from ..errors import InputValueError
from ..files.columns import TEXT, VECTOR
from ..forms import DType, VectorForm
from ..inputs import checked_max_tokens
from ..prompts import Prompts
from ..wording import Wording, argument

# In place of columns' names: all of them.
ALL = "*"
KEEP_COLUMNS = Wording("keep_columns", "--keep-columns")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What makes a row of a shard from a row of an input.

    Attributes:
        identity: the artifact's.
        prompt: what is put before each text.
        max_tokens: where texts are cut.
        dimensions: numbers of each vector, before bits are packed.
        dtype: their type.
        text_column: where the texts of a table stand.
        keep_columns: the columns of a table that stand beside them; `ALL` alone for all.
        shard_rows: rows of each shard but an input's last.
    """

    identity: str
    prompt: str
    max_tokens: int
    dimensions: int
    dtype: DType
    text_column: str
    keep_columns: tuple[str, ...]
    shard_rows: int

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        *,
        prompt_name: str | None,
        prompt: str | None,
        max_tokens: int | None,
        dimensions: int | None,
        dtype: DType,
        text_column: str | None,
        keep_columns: tuple[str, ...],
        shard_rows: int,
    ) -> Self:
        """Check what a caller asks for of an artifact; errors as those of `Encoder` and `Encoder.encode`."""
        text_column = TEXT if text_column is None else text_column
        # The text itself stands in the shard anyway.
        kept = tuple(dict.fromkeys(column for column in keep_columns if column != text_column))
        if ALL in kept and len(kept) > 1:
            raise InputValueError(KEEP_COLUMNS, f": {ALL} is all columns; leave the others out")
        for column in {TEXT, VECTOR}.intersection(kept):
            raise InputValueError(KEEP_COLUMNS, f': a shard has a column "{column}" of its own; leave that one out')
        form = VectorForm.of(manifest, dimensions, dtype)
        return cls(
            identity=manifest.identity,
            prompt=Prompts(manifest.prompts, manifest.default_prompt_name).choose(prompt_name, prompt),
            max_tokens=checked_max_tokens(max_tokens, manifest),
            dimensions=form.dimensions,
            dtype=form.dtype,
            text_column=text_column,
            keep_columns=kept,
            shard_rows=shard_rows,
        )

    def to_json(self) -> dict[str, Any]:
        """The settings as plain values, which `difference` takes."""
        return {**asdict(self), "keep_columns": list(self.keep_columns)}

    def difference(self, others: Mapping[str, Any]) -> tuple[str | Wording, ...] | None:
        """In what other settings, from a shard's metadata, differ first, for a message; None if they are the same."""
        for name, value in self.to_json().items():
            if others.get(name) == value:
                continue
            if name == "identity":
                return (f"was encoded with another artifact, of identity {others.get(name)!s:.80}",)
            return "was encoded with ", argument(name, _shown(others.get(name)))
        return None


def _shown(value: Any) -> Any:
    shown = ",".join(map(str, value)) if isinstance(value, list) else value
    return '""' if shown == "" else shown
