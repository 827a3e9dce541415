"""The fields of a message of protobuf, which ONNX is written in: for what must be known before the runtime reads it.

This is no parser of ONNX: whoever reads follows the few fields that lead to what it looks for, however often they
occur, and what another reader could take in another way is refused.
"""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TAG_BYTES, _VARINT_BYTES = 5, 10
_FIELD_NUMBERS = 1 << 29


class UnreadableGraphError(ValueError):
    """A file is no ONNX graph, or one that readers could take in several ways."""


def strings(graph: bytes, message: slice, wanted: int) -> list[bytes]:
    """The strings in a field of a message: of several, readers may take any."""
    return [graph[value] for number, value in fields(graph, message) if number == wanted and isinstance(value, slice)]


def fields(graph: bytes, message: slice) -> Iterator[tuple[int, int | slice]]:
    """The fields of a message: each one's number, and its value or where it lies."""
    place, end = message.start, message.stop
    while place < end:
        tag, place = _varint(graph, place, end, _TAG_BYTES)
        number, kind = tag >> 3, tag & 7
        value: int | slice
        if kind == _BYTES:
            size, place = _varint(graph, place, end, _VARINT_BYTES)
            value, place = slice(place, place + size), place + size
        elif kind == _VARINT:
            value, place = _varint(graph, place, end, _VARINT_BYTES)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
            value, place = 0, place + size
        else:  # groups, which ONNX has none of
            raise UnreadableGraphError(f"a field of wire type {kind} before byte {place}")
        if not 0 < number < _FIELD_NUMBERS or place > end:
            raise UnreadableGraphError(f"a field that is none, or ends beyond its message, before byte {place}")
        yield number, value


def _varint(graph: bytes, place: int, end: int, longest: int) -> tuple[int, int]:
    """The number at ``place``, and the place after it."""
    byte = graph[place] if place < end else 0x80
    if byte < 0x80:
        return byte, place + 1
    number = shift = 0
    for position in range(place, min(end, place + longest)):
        byte = graph[position]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position + 1
        shift += 7
    raise UnreadableGraphError(f"a number that does not end, at byte {place}")
