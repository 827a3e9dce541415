"""The version of our operators that a graph is written in: docs/decisions/026-native-kernels.md.

A graph in our operators carries, as functions of its own, what each of them is in the runtime's. So it runs in any
runtime, and our kernels, where they are, take the operators' place.
"""

from .protobuf import UnreadableGraphError, fields, strings

DOMAIN = b"simcse"

_OPERATOR_SETS = 8  # of Model: what it imports
_DOMAIN, _VERSION = 1, 2  # of OperatorSetId


def operators_version(graph: bytes) -> int | None:
    """The version of our operators that an ONNX file imports; None where it has none of them.

    Raises:
        UnreadableGraphError: it is not what a writer of ONNX writes.
    """
    versions: list[int] = []
    for number, value in fields(graph, slice(0, len(graph))):
        if number == _OPERATOR_SETS and isinstance(value, slice) and DOMAIN in strings(graph, value, _DOMAIN):
            versions += [v for each, v in fields(graph, value) if each == _VERSION and isinstance(v, int)]
    if len(versions) > 1:
        raise UnreadableGraphError("it imports our operators twice")
    return versions[0] if versions else None
