"""The files that a graph refers to, read from the ONNX file before the runtime sees it.

A tensor may lie in another file than its graph, and a compiled graph names its plan. The runtime opens what is named
there, and its releases before 1.24 do so wherever it lies, so the names are read first.
"""

from collections.abc import Mapping

from .protobuf import UnreadableGraphError, fields, strings

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
_MOST_NESTED = 100  # as in every reader of protobuf


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
        for number, value in fields(graph, message):
            if number in inner and isinstance(value, slice) and _leads_on(graph, value):
                messages.append((inner[number], value, depth + 1))
        if kind == "ExternalData" and _LOCATION in strings(graph, message, _KEY):
            names.update(strings(graph, message, _VALUE))
        elif kind == "Node" and _PLAN_NODE in strings(graph, message, _OP_TYPE):
            names.update(_files_of_plan(graph, message))
    return names


def _leads_on(graph: bytes, message: slice) -> bool:
    start, stop = message.start, message.stop
    return graph.find(_LOCATION, start, stop) >= 0 or graph.find(_PLAN_NODE, start, stop) >= 0


def _files_of_plan(graph: bytes, node: slice) -> list[bytes]:
    """What a node that stands for a compiled graph refers to: its plan, and the graph that the plan was made of."""
    attributes: dict[bytes, list[slice]] = {}
    for number, value in fields(graph, node):
        if number == _ATTRIBUTE and isinstance(value, slice):
            if any(strings(graph, value, _REFERENCE)):
                raise UnreadableGraphError("a node that stands for a compiled graph takes an attribute of its function")
            for name in strings(graph, value, _NAME):
                attributes.setdefault(name, []).append(value)
    modes = [[v for number, v in fields(graph, each) if number == _INT] for each in attributes.get(b"embed_mode", [])]
    naming = attributes.get(b"onnx_model_filename", [])
    # Else the plan itself stands in the attribute.
    if modes != [[1]]:
        naming += attributes.get(b"ep_cache_context", [])
    return [name for each in naming for name in strings(graph, each, _STRING) if name]
