"""What an adapter says where its framework is not installed."""

import contextlib
from collections.abc import Iterator

from ..errors import RuntimeMissingError


@contextlib.contextmanager
def framework(distribution: str) -> Iterator[None]:
    """Import an adapter's framework in the block; RuntimeMissingError, with the line for pip, where it is absent."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise RuntimeMissingError(f"{error}; pip install {distribution}") from error
