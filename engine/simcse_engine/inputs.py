"""A caller's texts and options, checked. Each error says what was found and what was expected."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from .artifact.kinds import TARGETS
from .artifact.manifest import Manifest
from .errors import InputTypeError, InputValueError, ProviderError
from .machine.device import parse_device

Truncate = Literal["warn", "error", "silent"]
OptimizeFor = Literal["both", "latency", "throughput"]
_T = TypeVar("_T")


def check_texts(texts: Sequence[str], *, start: int = 0) -> None:
    """Raise unless every text is a `str` of valid Unicode; the first one is at ``start`` among the caller's."""
    for position, text in enumerate(texts, start):
        if not isinstance(text, str):
            raise InputTypeError(f"texts[{position}] is {type(text).__name__}, not str")
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise InputValueError(
                    f"texts[{position}] holds a lone surrogate ({text[error.start]!a}) at character {error.start}; "
                    "decode the text with errors='replace' where it is read"
                ) from error


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
        raise InputValueError(f"{name}={value!r}: choose {', '.join(map(repr, others))} or {last!r}")
    return value


def checked_count(name: str, count: int | None, default: int) -> int:
    """A whole number from 1, or the default for None."""
    if count is None:
        return default
    if not isinstance(count, int) or isinstance(count, bool):
        raise InputTypeError(f"{name}={count!r}: expected a whole number")
    if count < 1:
        raise InputValueError(f"{name}={count}: expected at least 1")
    return count


def checked_max_tokens(max_tokens: int | None, manifest: Manifest) -> int:
    """The artifact's limit, or a lower one."""
    count = checked_count("max_tokens", max_tokens, manifest.max_tokens)
    if count > manifest.max_tokens:
        raise InputValueError(
            f"max_tokens={count}: the artifact's limit is {manifest.max_tokens}, and it can only be lowered"
        )
    return count


def checked_device(device: str | None, manifest: Manifest) -> str:
    """The artifact's target, or a device of that kind; ProviderError for another."""
    if device is None:
        return TARGETS[manifest.target].devices[0]
    if not isinstance(device, str):
        raise InputTypeError(f"device={device!r}: expected 'cpu', 'cuda' or 'cuda:N'")
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
