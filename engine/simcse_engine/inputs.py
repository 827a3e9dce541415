"""A caller's texts and options, checked. Each error says what was found and what was expected."""

import contextlib
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from numbers import Real
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from .artifact.kinds import TARGETS
from .artifact.manifest import Manifest
from .errors import InputTypeError, InputValueError, ProviderError
from .machine.device import parse_device
from .wording import Wording, argument, item

Truncate = Literal["warn", "error", "silent"]
OptimizeFor = Literal["both", "latency", "throughput"]
_T = TypeVar("_T")


def check_texts(texts: Sequence[str], *, start: int = 0) -> None:
    """Raise unless every text is a `str` of valid Unicode; the first one is at ``start`` among the caller's."""
    for position, text in enumerate(texts, start):
        if not isinstance(text, str):
            raise InputTypeError(text_item(position), f" is {type(text).__name__}, not str")
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise InputValueError(
                    text_item(position),
                    f" holds a lone surrogate ({text[error.start]!a}) at character {error.start}; ",
                    Wording("decode the text with errors='replace' where it is read", "give it as UTF-8"),
                ) from error


def text_item(position: int) -> Wording:
    """A caller's text by its position, in messages."""
    return item("texts", position, called="text")


@contextlib.contextmanager
def part_of(source: object, first: int, count: int) -> Iterator[None]:
    """Say in errors about ``count`` entries, whose positions count from 0, where in a file they are."""
    try:
        yield
    except (InputTypeError, InputValueError) as error:
        raise type(error)(f"{source}, entries {first + 1:,} to {first + count:,}: ", *error.args) from error


def python_value(value: object) -> Any:
    """NumPy's scalars and arrays without an axis as the Python value that they hold; anything else as it is.

    >>> python_value(np.int64(5)), python_value(np.bool_(True)), python_value("a")
    (5, True, 'a')
    """
    return (
        value.item() if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim) else value
    )


def checked_choice(name: str, value: _T, choices: Any) -> _T:
    """One of the values of ``choices``, a `Literal`, or InputValueError."""
    *others, last = get_args(choices)
    if value not in (*others, last):
        raise InputValueError(argument(name, value), f": choose {', '.join(map(repr, others))} or {last!r}")
    return value


def checked_whole(name: str, value: Any) -> int:
    """A whole number of any type, NumPy's too; True and False are none."""
    value = python_value(value)
    if not isinstance(value, bool):
        with contextlib.suppress(TypeError):
            return operator.index(value)
    raise InputTypeError(argument(name, value), ": expected a whole number")


def checked_count(name: str, count: object, default: int) -> int:
    """A whole number from 1, or the default for None."""
    if count is None:
        return default
    number = checked_whole(name, count)
    if number < 1:
        raise InputValueError(argument(name, number), ": expected at least 1")
    return number


def checked_number(name: str, value: object) -> float:
    """A number of any type, NumPy's too; True, False and NaN are none."""
    value = python_value(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputTypeError(argument(name, value), ": expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf  # type: ignore[operator]
    if math.isnan(number):
        raise InputValueError(f"{name} is NaN; expected a number")
    return number


def checked_max_tokens(max_tokens: int | None, manifest: Manifest) -> int:
    """The artifact's limit, or a lower one."""
    count = checked_count("max_tokens", max_tokens, manifest.max_tokens)
    if count > manifest.max_tokens:
        raise InputValueError(
            argument("max_tokens", count),
            f": the artifact's limit is {manifest.max_tokens}, and it can only be lowered",
        )
    return count


def checked_device(device: str | None, manifest: Manifest) -> str:
    """The artifact's target, or a device of that kind; ProviderError for another."""
    if device is None:
        return TARGETS[manifest.target].devices[0]
    if not isinstance(device, str):
        raise InputTypeError(argument("device", device), ": expected 'cpu', 'cuda' or 'cuda:N'")
    kind, _ = parse_device(device)
    if kind not in TARGETS[manifest.target].devices:
        raise ProviderError(
            f"asked for {device}, and this artifact's graph is for {manifest.target}; {device} needs an artifact "
            f"exported for it, and its runtime: pip install 'simcse-engine[{'cpu' if device == 'cpu' else 'gpu'}]'"
        )
    return device


def checked_sequence(texts: Sequence[str]) -> Sequence[str]:
    """A collection with a length and an order, or InputTypeError."""
    unordered = isinstance(texts, str | bytes | Mapping | Set)
    if unordered or not isinstance(texts, Iterable):
        raise not_texts(texts)
    try:
        len(texts)
    except TypeError as error:  # a generator, or an array without an axis
        raise not_texts(texts) from error
    return texts


def not_texts(texts: object) -> InputTypeError:
    """The error that says what the caller passed instead of texts."""
    if isinstance(texts, str | bytes):
        return InputTypeError(f"texts is one {type(texts).__name__}; pass a list of str, as in encode([text])")
    hint = "; stream() takes iterators" if isinstance(texts, Iterator) else ""
    return InputTypeError(f"texts is {type(texts).__name__}; expected a list of str{hint}")
