"""Records: what an index's database holds.

A row is a number that an entry has from its addition to the next compaction; it is the vector's place in the vector
file. Rows never change: what replaces an entry gets a new row, and the old one is listed among the dead. So three
numbers tell a state, and what was computed for one state is brought up to a later one by a look at what came after.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, Self

from ...errors import IndexDamagedError
from .key_kinds import KEY_KINDS, text_digest
from .keys import KeyKind

# json.loads also skips white space around the document, which takes as long as the rest.
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, kw_only=True)
class About:
    """What an index is, from its creation on.

    Attributes:
        name: 32 hex digits that tell it from all others; its vector file has them too.
        artifact: where the artifact was, a path or a hub id.
        identity: the artifact's (see `simcse_engine.artifact.manifest.Manifest`).
        model: the artifact's.
        dimension: floats per vector.
        max_tokens: the artifact's.
        dtype: how the ANN graph stores a vector.
        keys: what its keys are: "int", "str" or "uuid".
        keywords: whether its texts can be searched by words.
    """

    name: str
    artifact: str
    identity: str
    model: str
    dimension: int
    max_tokens: int
    dtype: str
    keys: str = "int"
    keywords: bool = False

    @property
    def format(self) -> int:
        """The format of its database. The first has nothing of the last two, so that earlier engines read it."""
        return 1 if (self.keys, self.keywords) == ("int", False) else 2

    @property
    def key_kind(self) -> KeyKind:
        """What its keys are."""
        return KEY_KINDS[self.keys]

    def to_json(self) -> str:
        """What the database says of it."""
        facts = asdict(self)
        if self.format == 1:
            del facts["keys"], facts["keywords"]
        return json.dumps(facts)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote, or raise ValueError or TypeError."""
        about = cls(**json.loads(text))
        if any(type(getattr(about, field.name)) is not field.type for field in fields(cls)):
            raise TypeError("values of other types")
        if len(bytes.fromhex(about.name)) != 16 or about.dimension < 1 or about.keys not in KEY_KINDS:
            raise ValueError("no index has such a name, dimension or keys")
        return about


@dataclass(frozen=True, kw_only=True)
class State:
    """What a transaction sees.

    Attributes:
        generation: of the vector file.
        rows: how many vectors in it count.
        deaths: how many of them are dead.
        next_key: the next automatic key.
        graph: the saved ANN graph (`SavedGraph.to_json`), if there is one.
    """

    generation: int
    rows: int
    deaths: int
    next_key: int
    graph: str | None

    @property
    def entries(self) -> int:
        """How many entries there are."""
        return self.rows - self.deaths


class Entry(NamedTuple):
    """What an index holds under a key.

    Attributes:
        key: the entry's: an int, a str or a UUID, as all keys of the index.
        text: the entry's.
        metadata: the entry's; None if it has none.
    """

    key: Any
    text: str
    metadata: dict[str, Any] | None


# Its public address: pickles and `repr` do not depend on which file it stands in.
Entry.__module__ = "simcse_engine.index"


class Record(NamedTuple):
    """An entry as the database has it, with its row."""

    row: int
    key: Any
    text: str
    metadata: str | None

    def entry(self) -> Entry:
        """As callers see it."""
        return Entry(self.key, self.text, decoded(self.key, self.metadata))


class Columns(NamedTuple):
    """Many records: their rows, keys, texts and metadata, each in the same order."""

    rows: tuple[int, ...]
    keys: tuple[Any, ...]
    texts: tuple[str, ...]
    metadata: tuple[str | None, ...]

    def at(self, places: Sequence[int]) -> "Columns":
        """Those at these places, in their order."""
        rows, keys, texts, metadata = self
        return Columns(
            tuple(map(rows.__getitem__, places)),
            tuple(map(keys.__getitem__, places)),
            tuple(map(texts.__getitem__, places)),
            tuple(map(metadata.__getitem__, places)),
        )

    def documents(self) -> list[dict[str, Any] | None]:
        """The metadata as callers see them."""
        texts = ["null" if text is None else text for text in self.metadata]
        try:
            # Together, as one document, they take half the time.
            documents: list[dict[str, Any] | None] = _DECODER.raw_decode(f"[{','.join(texts)}]")[0]
        except (ValueError, RecursionError):
            documents = []
        # One by one where they are no JSON, or not one document each: to say which.
        return documents if len(documents) == len(texts) else list(map(decoded, self.keys, self.metadata))


def decoded(key: Any, metadata: str | None) -> dict[str, Any] | None:
    """The metadata of the entry with this key, as callers see them."""
    try:
        return None if metadata is None else _DECODER.raw_decode(metadata)[0]
    except (ValueError, RecursionError) as error:
        raise IndexDamagedError(f"the metadata of the entry with key {key} are no JSON ({error})") from error


def record_checksum(stored: int | str, text: str, metadata: str | None) -> int:
    """The checksum of an entry; ``stored`` is its key as SQLite holds it (`KeyKind.stored`)."""
    begin = text_digest(stored) if isinstance(stored, str) else stored & 0xFFFFFFFF
    checksum = zlib.crc32(text.encode(), begin)
    return checksum if metadata is None else zlib.crc32(metadata.encode(), checksum ^ 1)


def state_checksum(*facts: object) -> int:
    """The checksum of a state: of its generation, rows, next key as stored, and graph."""
    return zlib.crc32(json.dumps(facts).encode())
