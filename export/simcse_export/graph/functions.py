"""Writes a part of the model as one node of an operator of ours, and the function that spells it in other operators.

Where a session knows the operator, its kernel runs; everywhere else the runtime puts the function's nodes in the node's
place when it opens the graph. `operators` has the signatures.
"""

from collections.abc import Mapping

import onnx
from onnx import helper

from .nodes import OPSETS, Graph
from .operators import DOMAIN, Operator

# A function has no initializers: its constants are nodes, which are to hold small numbers and no weights.
_CONSTANT_BYTES = 64


class Function(Graph):
    """The function of one operator under construction.

    Weights that the operator takes are inputs of the function, and initializers of the graph that calls it; so one
    function serves all layers.
    """

    def __init__(self, caller: Graph, operator: Operator, place: str) -> None:
        """Begin the function for the part of the model whose weights' names begin with ``place``."""
        super().__init__()
        self._caller = caller
        self._operator = operator
        self._inputs = {f"{place}.{weight}": name for name, weight in operator.weights.items()}
        self._inputs |= {weight: name for name, weight in operator.shared.items()}
        self._weights: dict[str, str] = {}  # inputs → initializers of the caller
        self._constants: dict[str, onnx.NodeProto] = {}

    def constant(self, tensor: onnx.TensorProto) -> str:
        """See `Graph`: an input, or a node of the function."""
        name = self._inputs.get(tensor.name)
        if name is not None:
            self._weights[name] = self._caller.constant(tensor)
            return name
        if len(tensor.raw_data) > _CONSTANT_BYTES:
            raise ValueError(f"{self._operator.name} has no input for {tensor.name}")
        self._constants[tensor.name] = helper.make_node("Constant", [], [tensor.name], value=tensor)
        return tensor.name

    def call(self, output: str, tensors: Mapping[str, str], **attributes: object) -> str:
        """Add the node to the caller's graph, and this function, whose result is ``output``; the node's output.

        ``tensors`` are the caller's tensors by the names of the operator's inputs.
        """
        operator, given = self._operator, {**tensors, **self._weights}
        names = list(operator.inputs)
        while names[-1] not in given:
            names.pop()
        own = self._own(output)
        domains = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        nodes = [*self._constants.values(), *self.nodes]
        function = helper.make_function(DOMAIN, operator.name, names, [own], nodes, domains, list(attributes))
        self._caller.add_function(function, version=2 if names[-1] in operator.shared else 1)
        arguments = [given.get(name, "") if name in operator.tensors else given[name] for name in names]
        return self._caller.op(operator.name, *arguments, domain=DOMAIN, **attributes)
