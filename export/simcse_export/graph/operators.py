"""Our own operators: the parts of the model that a native kernel computes whole, each with its inputs in order.

What an operator computes is said by the model-local function of its name that each graph carries (`functions`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

DOMAIN = "simcse"

# The biases of attention by distance, which all layers share.
ATTENTION_BIAS = "encoder.attention_bias"


@dataclass(frozen=True, kw_only=True)
class Operator:
    """The signature of an operator of `DOMAIN`.

    Attributes:
        name: the operator's and the function's.
        tensors: its first inputs, which other nodes compute; one that is left out is "".
        weights: its other inputs → the weight's name below the part of the model that it stands for. Those at the end
            may be left out.
        shared: its last inputs → weights that all parts share, by their whole names. They may be left out too, and came
            with version 2 of the operators.
    """

    name: str
    tensors: tuple[str, ...]
    weights: Mapping[str, str]
    shared: Mapping[str, str] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[str, ...]:
        """All of its inputs, in order."""
        return (*self.tensors, *self.weights, *self.shared)


def _linear(name: str, weight: str) -> dict[str, str]:
    return {f"{name}.{part}": f"{weight}.{part}" for part in ("weight", "bias")}


def _quantized(name: str, weight: str) -> dict[str, str]:
    return {f"{name}.{part}": f"{weight}.{part}" for part in ("weight", "scale", "bias")}


def _rounding(weight: str, **inputs: str) -> dict[str, str]:
    """How an input becomes integers, named by the first linear layer that reads it."""
    return {name: f"{weight}.input.{part}" for part, name in inputs.items()}


def _norm(weight: str, prefix: str = "") -> dict[str, str]:
    return {f"{prefix}gamma": f"{weight}.weight", f"{prefix}beta": f"{weight}.bias"}


_ON_TOKENS = ("ids", "lengths")
_ON_STATES = ("states", "lengths")
_QUERY, _KEY, _VALUE = (f"attention.self.{part}" for part in ("query", "key", "value"))
_OUTPUT, _UP, _DOWN = "attention.output.dense", "intermediate.dense", "output.dense"
_BIAS = {"attention.bias": ATTENTION_BIAS}
_ATTENTION_NORM = _norm("attention.output.LayerNorm", "attention_norm.")
_LAYER_NORM = _norm("output.LayerNorm", "norm.")
_WORDS, _POSITIONS = "word_embeddings.weight", "position_embeddings.weight"

_QUANTIZED_ATTENTION = {
    **_rounding(_QUERY, smooth="attention.smooth", scale="attention.scale", zero="attention.zero"),
    **_quantized("query", _QUERY),
    **_quantized("key", _KEY),
    **_quantized("value", _VALUE),
}
_QUANTIZED_UP = {
    **_rounding(_UP, smooth="up.smooth", scale="up.input_scale", zero="up.zero"),
    **_quantized("up", _UP),
}
_LAYER = {
    **_linear("query", _QUERY),
    **_linear("key", _KEY),
    **_linear("value", _VALUE),
    **_linear("output", _OUTPUT),
    **_ATTENTION_NORM,
    **_linear("up", _UP),
    **_linear("down", _DOWN),
    **_LAYER_NORM,
}

_POOLING = Operator(name="Pooling", tensors=(*_ON_STATES, "other"), weights=_linear("head", "dense"))

# Parts of the model → the operators that stand for them, by whether products are of integers. The first layer is the
# one whose output is that of the first tokens alone.
FLOAT_OPERATORS: Mapping[str, Operator] = {
    "embeddings": Operator(
        name="Embeddings",
        tensors=_ON_TOKENS,
        weights={"words": _WORDS, "positions": _POSITIONS, **_norm("LayerNorm")},
    ),
    "layer": Operator(name="Layer", tensors=_ON_STATES, weights=_LAYER, shared=_BIAS),
    "first layer": Operator(name="FirstLayer", tensors=_ON_STATES, weights=_LAYER, shared=_BIAS),
    "pooling": _POOLING,
}
QUANTIZED_OPERATORS: Mapping[str, Operator] = {
    "embeddings": Operator(
        name="QuantizedEmbeddings",
        tensors=_ON_TOKENS,
        weights={
            **{"words": _WORDS, "words.scale": f"{_WORDS}.scale"},
            **{"positions": _POSITIONS, "positions.scale": f"{_POSITIONS}.scale"},
            **_norm("LayerNorm"),
        },
    ),
    "layer": Operator(
        name="QuantizedLayer",
        tensors=_ON_STATES,
        weights={
            **_QUANTIZED_ATTENTION,
            **_rounding(_OUTPUT, scale="output.input_scale", zero="output.zero"),
            **_quantized("output", _OUTPUT),
            **_ATTENTION_NORM,
            **_QUANTIZED_UP,
            **_rounding(_DOWN, scale="down.input_scale", zero="down.zero"),
            **_quantized("down", _DOWN),
            **_LAYER_NORM,
        },
        shared=_BIAS,
    ),
    "first layer": Operator(
        name="QuantizedFirstLayer",
        tensors=_ON_STATES,
        weights={
            **_QUANTIZED_ATTENTION,
            **_linear("output", _OUTPUT),
            **_ATTENTION_NORM,
            **_QUANTIZED_UP,
            **_linear("down", _DOWN),
            **_LAYER_NORM,
        },
        shared=_BIAS,
    ),
    "pooling": _POOLING,
}
