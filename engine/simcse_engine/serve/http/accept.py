"""Which media type a client prefers, by its Accept header (RFC 9110, 12.5.1)."""

from collections.abc import Sequence

# Of a header, so many ranges are read: it may have thousands.
_MOST_RANGES = 32


def preferred(header: bytes | None, offered: Sequence[str]) -> str:
    """The media type of those offered that the client prefers; the first where it has no preference.

    >>> preferred(b"application/x-npy, application/json;q=0.5", ("application/json", "application/x-npy"))
    'application/x-npy'

    Where it takes none of them, the first too: an answer is more use than a refusal.
    """
    if header is None or header == b"*/*":
        return offered[0]
    ranges = [_range(item) for item in header.decode("latin-1").split(",", _MOST_RANGES)[:_MOST_RANGES]]

    def wish(media_type: str) -> tuple[float, int]:
        """The weight of the most specific range that the type is in, and how specific that is."""
        kind = media_type.split("/")[0]
        matching = [
            (specific, weight)
            for name, weight in ranges
            for specific, pattern in enumerate(("*/*", f"{kind}/*", media_type))
            if name == pattern
        ]
        specific, weight = max(matching, default=(0, 0.0))
        return weight, specific if weight else 0

    # The first of equals: `max` keeps the order.
    return max(offered, key=wish)


def _range(item: str) -> tuple[str, float]:
    """A media range and its weight; one that cannot be read weighs nothing."""
    name, *parameters = (part.strip().lower() for part in item.split(";"))
    weight = 1.0
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                weight = float(parameter[2:])
            except ValueError:
                weight = 0.0
    return name, weight if 0 <= weight <= 1 else 0.0
