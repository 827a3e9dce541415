"""A transformer layer, embeddings and pooling in NumPy, with the kernels' roundings and order: equal to the bit.

Written plainly, sentence by sentence and head by head.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from support import lanes
from support.kernels import Kernels
from support.lanes import BYTES, LANES, PAIRS, PANEL, SINGLES, fma

_LOG2_E = np.float32(1.44269504)


def normalized(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: np.float32) -> np.ndarray:
    """LayerNorm of rows [n, size]."""
    size = x.shape[-1]
    rows, lead = lanes.padded(x), x.shape[:-1]
    inside = lanes.padded(np.ones(size, bool))
    mean = (lanes.total(lambda s, at: s + rows[..., at], lead, size) / np.float32(size))[..., None]
    apart = np.where(inside, rows - mean, np.float32(0))
    squares = lanes.total(lambda s, at: fma(apart[..., at], apart[..., at], s), lead, size)
    inverse = np.float32(1) / np.sqrt(squares / np.float32(size) + epsilon)[..., None]
    return fma((x - mean) * inverse, gamma, beta)


def attended(
    kernels: Kernels,
    kind: int,
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    alpha: np.float32,
    bias: np.ndarray | None = None,
) -> np.ndarray:
    """Softmax((q kᵀ + bias) alpha) v of one head, [queries, head]; ``alpha`` is to base 2, ``bias`` by distance."""
    if kind == BYTES:
        return _attended_in_bytes(kernels, q, k, v, alpha, bias)
    q, k, v = (lanes.numbers(kind, x) for x in (q, k, v))
    scores = lanes.product(kind, q, np.ascontiguousarray(k.T), 0)
    if bias is not None:
        scores = scores + by_place(bias, len(q), len(k))
    scores = lanes.padded(scores, value=-1e30)
    below = np.maximum(scores - scores.max(axis=1, keepdims=True), np.float32(-125) / alpha)
    weights = lanes.function(kernels, "exp2", below, alpha)
    sums = np.zeros((len(q), LANES), np.float32)
    for at in range(0, weights.shape[1], LANES):
        sums = sums + weights[:, at : at + LANES]
    context = lanes.product(kind, lanes.numbers(kind, weights[:, : len(k)]), v, 0)
    return context * (np.float32(1) / lanes.lane_sum(sums))[:, None]


def by_place(bias: np.ndarray, queries: int, keys: int) -> np.ndarray:
    """[queries, keys] of what is added by distance, the middle of ``bias`` to a key at its query's place."""
    return np.array([[bias[len(bias) // 2 + j - i] for j in range(keys)] for i in range(queries)])


def _attended_in_bytes(
    kernels: Kernels, q: np.ndarray, k: np.ndarray, v: np.ndarray, alpha: np.float32, bias: np.ndarray | None
) -> np.ndarray:
    """The same with a step for each query, key and feature of the values, and weights of two bytes."""
    q_step, q_inverse = _steps(q, axis=1)
    k_step, k_inverse = _steps(k, axis=1)
    v_step, v_inverse = _steps(v, axis=0)
    queries = lanes.to_bytes(fma(q, q_inverse, np.float32(128))).astype(np.int64) - 128
    keys = lanes.to_bytes(fma(k, k_inverse, np.float32(128))).astype(np.int64) - 128
    values = np.rint(v.astype(np.float64) * v_inverse).astype(np.int64)
    factor = np.maximum(q_step, np.float32(1e-20)) * alpha
    scores = (queries @ keys.T).astype(np.float32) * k_step.T
    if bias is not None:
        scores = fma(by_place(bias, len(q), len(k)), alpha / factor, scores)
    below = np.maximum(scores - scores.max(axis=1, keepdims=True), np.float32(-20) / factor)
    weights = np.vstack(
        [lanes.function(kernels, "weights", row, by) for row, by in zip(below, factor[:, 0], strict=True)]
    )
    whole = weights.astype(np.int64)
    upper, lower = ((part @ values).astype(np.float32) for part in (whole >> 8, whole & 255))
    in_lanes = lanes.padded(whole).reshape(len(q), -1, LANES).sum(axis=1).astype(np.float32)
    share = np.float32(1) / lanes.lane_sum(in_lanes)[:, None]
    return fma(upper, np.float32(256), lower) * (v_step * share)


def _steps(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """127ths of the largest magnitudes, and their inverses."""
    most = np.abs(x).max(axis=axis, keepdims=True)
    inverse = np.where(most > np.float32(1e-30), np.float32(127) / np.maximum(most, np.float32(1e-30)), np.float32(0))
    return most * np.float32(1 / 127), inverse


@dataclass
class Linear:
    """y = x W + b; bytes have a scale for each output."""

    weight: np.ndarray
    scale: np.ndarray
    bias: np.ndarray


@dataclass
class Input:
    """How floats become bytes: x * smooth / scale + zero."""

    smooth: np.ndarray
    scale: np.float32
    zero: int

    @property
    def late(self) -> "Input":
        """The same without smoothing, which weights have done before."""
        return replace(self, smooth=np.float32(1))

    def numbers(self, kind: int, x: np.ndarray) -> np.ndarray:
        return lanes.numbers(kind, x, self.smooth * (np.float32(1) / self.scale), self.zero)


@dataclass
class Layer:
    """A layer's constants. ``kind``: what rows are multiplied as; after attention and activation of a CLS pooler's last
    layer of bytes, single floats."""

    kind: int
    first_only: bool
    heads: int
    activation: str
    epsilon: np.float32
    linears: list[Linear]  # query, key, value, output, up, down
    inputs: list[Input]  # of attention, output, up, down
    norms: list[tuple[np.ndarray, np.ndarray]]  # gamma and beta, after attention and after feed-forward
    bias: np.ndarray | None = None  # of attention, [heads, distances]

    @property
    def hidden(self) -> int:
        return len(self.linears[0].bias)

    @property
    def late(self) -> int:
        """What rows are after attention, and within the feed-forward."""
        return SINGLES if self.kind == BYTES and self.first_only else self.kind

    def reference(self, kernels: Kernels, states: np.ndarray, lengths: list[int]) -> np.ndarray:
        """The layer in NumPy: [tokens or sentences, hidden]."""
        query, key, value, output, up, down = self.linears
        attention_input, output_input, up_input, down_input = self.inputs
        numbers = attention_input.numbers(self.kind, states)
        q, k, v = (self._linear(self.kind, numbers, one, attention_input) for one in (query, key, value))
        size = self.hidden // self.heads
        alpha = _LOG2_E / np.float32(math.sqrt(np.float32(size)))
        rows, residual = [], []
        for start, end in pairwise([0, *np.cumsum(lengths)]):
            at = slice(start, end)
            asked = slice(start, start + 1 if self.first_only else end)
            heads = [slice(h * size, (h + 1) * size) for h in range(self.heads)]
            biases = [None] * self.heads if self.bias is None else list(self.bias * np.sqrt(np.float32(size)))
            parts = [
                attended(kernels, self.kind, q[asked, h], k[at, h], v[at, h], alpha, bias)
                for h, bias in zip(heads, biases, strict=True)
            ]
            rows.append(np.hstack(parts))
            residual.append(states[asked])
        # Heads are padded to whole lanes, which is seen where pairs are of an odd size.
        wide = [
            lanes.padded(x.reshape(len(x), self.heads, size)).reshape(len(x), -1)
            for x in (np.vstack(rows), output.weight.T)
        ]
        context = output_input.late.numbers(self.late, wide[0])
        x = self._linear(self.late, context, replace(output, weight=wide[1].T), output_input) + np.vstack(residual)
        x = normalized(x, *self.norms[0], self.epsilon)
        middle = self._linear(self.kind, up_input.numbers(self.kind, x), up, up_input)
        name = "rough_gelu" if self.activation == "gelu" and self.late == BYTES else f"activation {self.activation}"
        middle = down_input.late.numbers(self.late, lanes.function(kernels, name, middle))
        x = self._linear(self.late, middle, down, down_input) + x
        return normalized(x, *self.norms[1], self.epsilon)

    def run(self, kernels: Kernels, states: np.ndarray, lengths: list[int], threads: int = 1) -> np.ndarray:
        """The kernels' result, of the same shape."""
        features = len(self.linears[4].bias)
        sizes = [(BYTES, PAIRS, SINGLES).index(self.kind), self.first_only, self.heads]
        sizes += [lanes.ACTIVATIONS.index(self.activation), self.hidden, features, threads, len(lengths), sum(lengths)]
        sizes += [0 if self.bias is None else self.bias.shape[1]]
        floats = [[self.epsilon]]
        floats += [part for one in self.linears for part in (one.scale, one.bias)]
        floats += [part for one in self.inputs for part in (one.smooth, [one.scale])]
        floats += [part for pair in self.norms for part in pair]
        floats += [] if self.bias is None else [self.bias.ravel()]
        weights = np.frombuffer(b"".join(one.weight.tobytes() for one in self.linears), np.uint8)
        zeros = np.array([one.zero for one in self.inputs], np.uint8)
        # Zeros up to whole vectors; what lies between these and whole panels is nobody's.
        wide = np.full((len(states), -(-self.hidden // PANEL) * PANEL), np.nan, np.float32)
        wide[:, : -(-self.hidden // LANES) * LANES] = lanes.padded(states)
        to = np.full((len(lengths) if self.first_only else len(states), wide.shape[1]), np.nan, np.float32)
        constants = np.concatenate(floats).astype(np.float32)
        arguments = (np.array(sizes, np.int64), weights, constants, zeros, np.array(lengths, np.int64), wide, to)
        status = kernels.call("simcse_testing_layer", *arguments)
        if status:
            raise MemoryError if status == -2 else ValueError("refused")
        return np.ascontiguousarray(to[:, : self.hidden])

    def _linear(self, kind: int, rows: np.ndarray, linear: Linear, its: Input) -> np.ndarray:
        if kind != BYTES:
            return lanes.product(kind, rows, linear.weight, linear.bias)
        sums = lanes.product(kind, rows, linear.weight, 0, its.zero).astype(np.float32)
        return fma(sums, its.scale * linear.scale, linear.bias)


def random_layer(
    kind: int,
    hidden: int,
    heads: int,
    features: int,
    *,
    first_only: bool = False,
    activation: str = "gelu",
    longest: int = 0,
    seed: int = 0,
) -> Layer:
    """A layer of the numbers that checkpoints have, roughly; all of it depends on the arguments alone.

    It has biases of attention for sentences of up to ``longest`` tokens, unless that is 0.
    """
    rng = np.random.default_rng([kind, hidden, heads, features, seed])
    late = SINGLES if kind == BYTES and first_only else kind

    def linear(inputs: int, outputs: int, kind: int) -> Linear:
        bias = rng.normal(size=outputs).astype(np.float32) / 10
        scale = rng.uniform(0.5, 1.5, outputs).astype(np.float32) / np.float32(40 * math.sqrt(inputs))
        if kind == BYTES:
            return Linear(rng.integers(-64, 65, (inputs, outputs)).astype(np.int8), scale, bias)
        weight = rng.normal(size=(inputs, outputs)).astype(np.float32) / np.float32(math.sqrt(inputs))
        return Linear(lanes.numbers(kind, weight), scale, bias)

    def input_of(size: int) -> Input:
        smooth = rng.uniform(0.5, 2, size).astype(np.float32)
        return Input(smooth, np.float32(rng.uniform(0.02, 0.04)), int(rng.integers(100, 150)))

    square = [linear(hidden, hidden, kind) for _ in range(3)]
    rest = [linear(hidden, hidden, late), linear(hidden, features, kind), linear(features, hidden, late)]
    norms = [tuple(rng.normal(size=(2, hidden)).astype(np.float32)) for _ in range(2)]
    inputs = [input_of(size) for size in (hidden, hidden, hidden, features)]
    bias = rng.normal(size=(heads, 2 * longest - 1)).astype(np.float32) * 2 if longest else None
    return Layer(kind, first_only, heads, activation, np.float32(1e-12), [*square, *rest], inputs, norms, bias)
