"""Keys: what entries are known by. All keys of an index are of one kind, from its creation on."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias
from uuid import UUID

from numpy.typing import NDArray

from ...errors import InputTypeError, InputValueError
from ...wording import Wording, item

# What callers hand in.
Key: TypeAlias = int | str | UUID
KeyKindName = Literal["int", "str", "uuid"]


class KeyKind(ABC):
    """What the keys of an index are, and how they are checked, stored, compared and written.

    Attributes:
        name: of the kind, as callers choose it.
        plural: what they are, for messages.
        column: their type in SQLite.
        digest: an SQL expression of ``key``, which is the same for the same keys in any order.
        arrow: their type in Arrow, by its function's name.
        schema: of `in_json`, as JSON Schema.
        counted: whether automatic ones follow one another, so that the first tells the others.
    """

    name: ClassVar[str]
    plural: ClassVar[str]
    column: ClassVar[str]
    digest: ClassVar[str]
    arrow: ClassVar[str]
    schema: ClassVar[Mapping[str, Any]]
    counted: ClassVar[bool] = False

    @abstractmethod
    def one(self, value: object) -> Any:
        """A caller's key, or InputTypeError or InputValueError, whose message begins behind a name of the value."""

    @abstractmethod
    def of_text(self, text: str, place: str) -> Any:
        """The key that a text spells, as on a command line; errors begin with ``place``."""

    @abstractmethod
    def stored(self, key: Any) -> int | str:
        """A key as SQLite holds it."""

    @abstractmethod
    def of_stored(self, stored: Any) -> Any:
        """The key that `stored` made this of; TypeError or ValueError for what it makes of none."""

    @abstractmethod
    def ranks(self, keys: Sequence[Any]) -> NDArray[Any]:
        """Numbers that have the order of the keys."""

    @abstractmethod
    def series(self, first: int) -> Iterator[Any]:
        """Automatic keys without end; those that count begin with ``first``."""

    def in_json(self, key: Any) -> int | str:
        """A key as JSON and tables have it."""
        written: int | str = key
        return written

    def after(self, next_key: int, keys: Sequence[Any]) -> int:  # noqa: ARG002  (of those that count)
        """The next automatic key once these were added, if automatic keys count."""
        return next_key

    def behind(self, key: Any | None) -> Sequence[tuple[str, int | str]]:
        """SQL of which keys come behind one, None for all, and its parameter, which stands at ``{}``.

        Several are of keys that follow one another, while SQLite's own order is that of the keys within each.
        """
        return [("key > {}", "" if key is None else self.stored(key))]

    def automatic(self, first: int, count: int) -> list[Any]:
        """So many automatic keys; those that count begin with ``first``."""
        return list(itertools.islice(self.series(first), count))

    def checked(self, keys: Iterable[Any], count: int | None = None) -> list[Any]:
        """A caller's keys; with ``count``, so many distinct ones."""
        if isinstance(keys, str | bytes | Mapping) or not isinstance(keys, Iterable):
            raise InputTypeError(f"keys is {type(keys).__name__}; expected a list of {self.plural}")
        checked = []
        for position, key in enumerate(keys):
            try:
                checked.append(self.one(key))
            except (InputTypeError, InputValueError) as error:
                raise self._refusal(_item(position), error) from None
        if count is not None:
            if len(checked) != count:
                raise InputValueError(f"keys has {len(checked)} for {count} texts; expected one for each")
            _check_distinct(checked)
        return checked

    def checked_one(self, name: str, key: object) -> Any:
        """A caller's key, which is the argument of this name."""
        try:
            return self.one(key)
        except (InputTypeError, InputValueError) as error:
            raise self._refusal(name, error) from None

    def _refusal(self, name: str | Wording, error: InputTypeError | InputValueError) -> Exception:
        whose = f"; the keys of this index are {self.plural}" if isinstance(error, InputTypeError) else ""
        return type(error)(name, *error.args, whose)

    def of_json(self, value: object, place: str) -> Any:
        """The key that a JSON document or a table has in a row; errors begin with ``place``."""
        try:
            return self.one(value)
        except (InputTypeError, InputValueError) as error:
            raise InputValueError(f"{place}: the key", *error.args) from None


def _check_distinct(keys: Sequence[Any]) -> None:
    if len(set(keys)) == len(keys):
        return
    first: dict[Any, int] = {}
    for position, key in enumerate(keys):
        if first.setdefault(key, position) != position:
            raise InputValueError(_item(position), " is ", _item(first[key]), f" again ({key!s:.40})")


def _item(position: int) -> Wording:
    return item("keys", position, called="key")


def no_entry(position: int, key: Key) -> InputValueError:
    """What is wrong with a key that has no entry."""
    return InputValueError(_item(position), f" is {key!s:.40}, under which there is no entry")
