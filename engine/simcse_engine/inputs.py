"""What callers hand in, checked: texts and options. Each error says what was found and what is wanted."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Literal

from .artifact.kinds import TARGETS
from .artifact.manifest import Manifest
from .errors import InputTypeError, InputValueError, ProviderError
from .machine.device import Device

Truncate = Literal["warn", "error", "silent"]
OptimizeFor = Literal["both", "latency", "throughput"]


def check_texts(texts: Sequence[str], *, start: int = 0) -> None:
    """Raise unless every text is a `str` of valid Unicode.

    Args:
        texts: what to check.
        start: the position of the first one in what the caller was given, for the message.

    Raises:
        InputTypeError: one is no `str`.
        InputValueError: one holds a lone surrogate, which no encoding of Unicode can carry.
    """
    for position, text in enumerate(texts, start):
        if not isinstance(text, str):
            raise InputTypeError(f"texts[{position}] is {type(text).__name__}, not str")
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise InputValueError(
                    f"texts[{position}] holds a lone surrogate ({text[error.start]!a}) at character {error.start}; "
                    "decode it with errors='replace' where it is read"
                ) from error


def checked_truncate(truncate: Truncate) -> Truncate:
    """One of the three policies, or InputValueError."""
    if truncate not in ("warn", "error", "silent"):
        raise InputValueError(f"truncate={truncate!r}: choose 'warn', 'error' or 'silent'")
    return truncate


def checked_optimize_for(optimize_for: OptimizeFor) -> OptimizeFor:
    """One of the three aims, or InputValueError."""
    if optimize_for not in ("both", "latency", "throughput"):
        raise InputValueError(f"optimize_for={optimize_for!r}: choose 'both', 'latency' or 'throughput'")
    return optimize_for


def checked_count(name: str, given: int | None, default: int) -> int:
    """A whole number from 1, or the default for None."""
    if given is None:
        return default
    if not isinstance(given, int) or isinstance(given, bool):
        raise InputTypeError(f"{name}={given!r}: a whole number is wanted")
    if given < 1:
        raise InputValueError(f"{name}={given}: at least 1 is wanted")
    return given


def checked_max_tokens(given: int | None, manifest: Manifest) -> int:
    """The artifact's limit, or a lower one."""
    count = checked_count("max_tokens", given, manifest.max_tokens)
    if count > manifest.max_tokens:
        raise InputValueError(
            f"max_tokens={given}: the artifact's limit is {manifest.max_tokens}, it can only be lowered"
        )
    return count


def checked_device(device: str | None, manifest: Manifest) -> str:
    """The artifact's target, or a device of that kind; ProviderError for another."""
    if device is None:
        return TARGETS[manifest.target].devices[0]
    if not isinstance(device, str):
        raise InputTypeError(f"device={device!r}: 'cpu', 'cuda' or 'cuda:N' is wanted")
    if Device.parse(device).kind not in TARGETS[manifest.target].devices:
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
    """The error that says what was given in place of texts."""
    if isinstance(texts, str | bytes):
        return InputTypeError(f"texts is one {type(texts).__name__}; give a list of str, as in encode([text])")
    hint = "; stream() takes iterators" if isinstance(texts, Iterator) else ""
    return InputTypeError(f"texts is {type(texts).__name__}; a list of str is wanted{hint}")
