"""Activation functions in operators of ONNX itself, for runtimes that have no others."""

from collections.abc import Callable

import numpy as np

from ..nodes import Graph
from .dialect import OPERATORS


def plain_activation(graph: Graph, x: str, function: str, number: Callable[[float], str]) -> str:
    """One of `dialect.OPERATORS` of ``x``; ``number`` gives a constant of rank 0 in the type of ``x``."""
    operator, _, attributes = OPERATORS[function]
    if operator == "QuickGelu":
        return graph.op("Mul", x, graph.op("Sigmoid", graph.op("Mul", x, number(attributes["alpha"]))))
    if operator == "Gelu":
        inner = graph.op("Erf", graph.op("Mul", x, number(0.5**0.5)))
    elif operator == "FastGelu":
        cube = graph.op("Mul", graph.op("Mul", x, x), x)
        inner = graph.op("Add", x, graph.op("Mul", cube, number(0.044715)))
        inner = graph.op("Tanh", graph.op("Mul", inner, number((2 / np.pi) ** 0.5)))
    else:
        return graph.op(operator, x)
    return graph.op("Mul", graph.op("Mul", x, number(0.5)), graph.op("Add", inner, number(1)))
