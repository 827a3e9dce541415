"""The files that a graph refers to, read from the ONNX file before the runtime sees it.

A tensor may lie in another file than its graph, and a compiled graph names its plan. The runtime opens what is named
there, and its releases before 1.24 do so wherever it lies, so the names are read first. This is no parser of ONNX: it
follows the few fields of protobuf that lead to a name, however often they occur, and refuses what another reader could
take in another way.
"""

from collections.abc import Iterator, Mapping

# The messages that lead to a file's name: for each, which of its fields hold which message (onnx.proto).
_FIELDS: Mapping[str, Mapping[int, str]] = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "ExternalData"},
    "ExternalData": {},
}
_KEY, _VALUE = 1, 2  # of ExternalData
_OP_TYPE, _ATTRIBUTE = 4, 5  # of Node
_NAME, _INT, _STRING, _REFERENCE = 1, 3, 4, 21  # of Attribute

# Without either, a message leads to no name: most do not, and are passed over.
_LOCATION, _PLAN_NODE = b"location", b"EPContext"

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TAG_BYTES, _VARINT_BYTES = 5, 10
_FIELD_NUMBERS = 1 << 29
_MOST_NESTED = 100  # as in every reader of protobuf


class UnreadableGraphError(ValueError):
    """A file is no ONNX graph, or one that readers could take in several ways."""


def files_named(graph: bytes) -> set[bytes]:
    """The names of all files that the runtime could open for a graph, as they stand in its ONNX file.

    Raises:
        UnreadableGraphError: it is not what a writer of ONNX writes.
    """
    names: set[bytes] = set()
    messages = [("Model", slice(0, len(graph)), 0)]
    while messages:
        kind, message, depth = messages.pop()
        if depth > _MOST_NESTED:
            raise UnreadableGraphError(f"messages are nested more than {_MOST_NESTED} deep")
        inner = _FIELDS[kind]
        for number, value in _fields(graph, message):
            if number in inner and isinstance(value, slice) and _leads_on(graph, value):
                messages.append((inner[number], value, depth + 1))
        if kind == "ExternalData" and _LOCATION in _strings(graph, message, _KEY):
            names.update(_strings(graph, message, _VALUE))
        elif kind == "Node" and _PLAN_NODE in _strings(graph, message, _OP_TYPE):
            names.update(_files_of_plan(graph, message))
    return names


def _leads_on(graph: bytes, message: slice) -> bool:
    start, stop = message.start, message.stop
    return graph.find(_LOCATION, start, stop) >= 0 or graph.find(_PLAN_NODE, start, stop) >= 0


def _files_of_plan(graph: bytes, node: slice) -> list[bytes]:
    """What a node that stands for a compiled graph refers to: its plan, and the graph that the plan was made of."""
    attributes: dict[bytes, list[slice]] = {}
    for number, value in _fields(graph, node):
        if number == _ATTRIBUTE and isinstance(value, slice):
            if any(_strings(graph, value, _REFERENCE)):
                raise UnreadableGraphError("a node that stands for a compiled graph takes an attribute of its function")
            for name in _strings(graph, value, _NAME):
                attributes.setdefault(name, []).append(value)
    modes = [[v for number, v in _fields(graph, each) if number == _INT] for each in attributes.get(b"embed_mode", [])]
    naming = attributes.get(b"onnx_model_filename", [])
    # Else the plan itself stands in the attribute.
    if modes != [[1]]:
        naming += attributes.get(b"ep_cache_context", [])
    return [name for each in naming for name in _strings(graph, each, _STRING) if name]


def _strings(graph: bytes, message: slice, wanted: int) -> list[bytes]:
    """The strings in a field of a message: of several, readers may take any."""
    return [graph[value] for number, value in _fields(graph, message) if number == wanted and isinstance(value, slice)]


def _fields(graph: bytes, message: slice) -> Iterator[tuple[int, int | slice]]:
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
