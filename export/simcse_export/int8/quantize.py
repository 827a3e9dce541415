"""Chooses the int8 numbers of an encoder: scales of activations, and weights rounded to fit.

Activations are quantized per tensor with constants that calibration finds, so a row's result depends on no other row.
What makes that good enough:

- SmoothQuant (Xiao et al. 2022, arXiv:2211.10438): each channel's range moves from the activations into the weights by
  a factor max|x|^α / max|w|^(1-α). The factors of the attention's output go into the value projection, which costs
  nothing at run time.
- The activation function's few wide channels are computed in steps (`steps`), so that the narrow ones keep a fine grid.
- Weights are rounded with GPTQ against the activations that the quantized layers before them deliver (`rounding`).
- Each bias takes out what quantization shifts on average.
- With a CLS pooler, the last layer's attention output and feed-forward output stay in float32: they run on one row per
  sentence, and no later layer evens their errors out. Layers that run on that row alone are calibrated on such rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.activations import ACT2FN

from ..checkpoint.architecture import RELATIVE_BIAS, TOKEN_TYPES, Architecture, Weights
from ..checkpoint.attention_bias import by_distance
from .calibration import Sample
from .rounding import quantized_rows, round_weights, scales
from .steps import Steps

# How much of a channel's range moves into the weights, for each of a layer's inputs.
_ALPHA = {"attention": 0.8, "output": 0.8, "up": 0.7}
_MIN_RANGE = 1e-5


@dataclass(frozen=True, kw_only=True)
class QuantizedInput:
    """How a tensor becomes uint8: round(x · smooth / scale) + zero, clipped.

    Attributes:
        smooth: float32 [features]; None where there are no factors, or the layer before has taken them.
        scale: the step.
        zero: the integer of 0.0.
    """

    smooth: NDArray[np.float32] | None
    scale: float
    zero: int

    def round_trip(self, x: torch.Tensor) -> torch.Tensor:
        """``x``, which includes the factors, as its integers represent it."""
        return ((x / self.scale).round() + self.zero).clamp(0, 255).sub(self.zero).mul(self.scale)


@dataclass(frozen=True, kw_only=True)
class QuantizedLinear:
    """One linear layer in integers.

    Attributes:
        input: how its input is quantized; layers of one input share the object.
        weight: int8 [out, in]; the width between a feed-forward's two layers may exceed the checkpoint's.
        scale: float32 [out].
        bias: float32 [out].
    """

    input: QuantizedInput
    weight: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]


# A tensor in float, and as the quantized layers before it deliver it.
Pair = tuple[torch.Tensor, torch.Tensor]


@torch.inference_mode()
def quantize(
    architecture: Architecture,
    weights: Weights,
    sentences: Sequence[Sequence[int]],
    *,
    first_only: bool,
    symmetric: bool = False,
    int8_embeddings: bool = True,
) -> dict[str, QuantizedLinear]:
    """Run calibration sentences through the model, layer by layer, and quantize each layer on what reaches it.

    Linear layers that the result lacks stay in float.

    Args:
        architecture: the model's numbers.
        weights: as for `simcse_export.graph.bert.author`.
        sentences: token ids, special ones included.
        first_only: whether the pooler reads the first token alone.
        symmetric: whether activations' zero is the middle of their integers, as TensorRT requires.
        int8_embeddings: whether the graph's embedding tables are int8 too.
    """
    sample = Sample(sentences)
    return _Quantizer(architecture, weights, sample, symmetric, int8_embeddings).run(first_only)


class _Quantizer:
    """Carries the calibration tokens through the model twice: in float, and through the quantized layers."""

    def __init__(
        self,
        architecture: Architecture,
        weights: Weights,
        sample: Sample,
        symmetric: bool = False,
        int8_embeddings: bool = True,
    ) -> None:
        self.architecture = architecture
        self.weights: Mapping[str, torch.Tensor] = {name: torch.from_numpy(array) for name, array in weights.items()}
        self.sample = sample
        self.symmetric, self.int8_embeddings = symmetric, int8_embeddings
        buckets = weights.get(RELATIVE_BIAS)
        self.bias = None if buckets is None else by_distance(buckets, architecture.longest)
        self.layers: dict[str, QuantizedLinear] = {}

    def run(self, first_only: bool) -> dict[str, QuantizedLinear]:
        count = self.architecture.layers
        pair = self.embeddings()
        for i in range(count):
            pair = self.layer(f"encoder.layer.{i}", pair, first_only=first_only and i == count - 1)
        return self.layers

    def embeddings(self) -> Pair:
        rows = self.sample.positions
        if self.architecture.skipped_id is not None:
            rows = rows + self.architecture.skipped_id + 1
        words, positions = (self.weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position"))
        if TOKEN_TYPES in self.weights:
            positions = positions + self.weights[TOKEN_TYPES][0]
        x = words[self.sample.ids] + positions[rows]
        if self.int8_embeddings:
            words, positions = _through_int8(words), _through_int8(positions)
        y = words[self.sample.ids] + positions[rows]
        return self.norm(x, "embeddings.LayerNorm"), self.norm(y, "embeddings.LayerNorm")

    def layer(self, name: str, x: Pair, *, first_only: bool) -> Pair:
        """One layer's output; with ``first_only`` that of the sentences' first tokens, as in `graph.bert`."""
        attend = partial(self.sample.attend, heads=self.architecture.heads, bias=self.bias)
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        query, key, value = self.linear(parts, x, "attention")
        y = attend(query[0], key[0], value[0]), attend(query[1], key[1], value[1])
        output, down = f"{name}.attention.output.dense", f"{name}.output.dense"
        if first_only:
            firsts = self.sample.firsts
            x, y = (x[0][firsts], x[1][firsts]), self.unquantized(output, (y[0][firsts], y[1][firsts]))
        else:
            (y,) = self.linear([output], y, "output", folded=parts[2])
        x = self.add(x, y, f"{name}.attention.output.LayerNorm")
        up = f"{name}.intermediate.dense"
        (y,) = self.linear([up], x, "up")
        if first_only:
            act = ACT2FN[self.architecture.activation]
            y = self.unquantized(down, (act(y[0]), act(y[1])))
        else:
            y = self.down(down, up, y)
        return self.add(x, y, f"{name}.output.LayerNorm")

    def unquantized(self, name: str, x: Pair) -> Pair:
        """The output of a layer that stays in float32."""
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return x[0] @ weight.T + bias, x[1] @ weight.T + bias

    def linear(self, names: list[str], x: Pair, place: str, folded: str | None = None) -> list[Pair]:
        """Quantize the layers of one input ``x``; their outputs.

        ``place`` is a key of `_ALPHA`; ``folded`` computes the input, and takes the smoothing factors into its scale.
        """
        exact, delivered = x
        weights = [self.weights[f"{name}.weight"] for name in names]
        smooth = _smoothing(exact, weights, _ALPHA[place])
        delivered = delivered * smooth
        factors = smooth.numpy()
        if folded:
            before = self.layers[folded]
            self.layers[folded] = replace(before, scale=before.scale * factors, bias=before.bias * factors)
        low, high = float(delivered.min()), float(delivered.max())
        quantized = self.grid(low, high, smooth=None if folded else factors)
        return [
            self.fit(name, (exact @ weight.T, delivered), weight / smooth, quantized)
            for name, weight in zip(names, weights, strict=True)
        ]

    def down(self, name: str, up: str, x: Pair) -> Pair:
        """Quantize the layer after the activation function, whose input ``x`` is the output of the layer ``up``."""
        act = ACT2FN[self.architecture.activation]
        exact = act(x[0])
        steps = Steps.of(exact, act)
        before, channels = self.layers[up], steps.channels.numpy()
        self.layers[up] = replace(
            before,
            weight=before.weight[channels],
            scale=before.scale[channels],
            bias=before.bias[channels] - steps.shifts.numpy(),
        )
        delivered = act(x[1][:, steps.channels] - steps.shifts)
        weight = self.weights[f"{name}.weight"]
        quantized = self.grid(float(delivered.min()), steps.height)
        return self.fit(name, (exact @ weight.T, delivered), steps.spread(weight), quantized)

    def fit(self, name: str, x: Pair, weight: torch.Tensor, quantized: QuantizedInput) -> Pair:
        """Choose a layer's integers; its output, bias included.

        ``x`` is the layer's product in float, without the bias, and its input before that is ``quantized``; the float
        ``weight`` [out, in] is rounded for that input.
        """
        expected, rows = x[0], quantized.round_trip(x[1])
        scale = scales(weight)
        integers = round_weights(weight, rows.T @ rows, scale)
        product = rows @ (integers * scale[:, None]).T
        shift = (expected - product).mean(0)
        bias = self.weights[f"{name}.bias"]
        self.layers[name] = QuantizedLinear(
            input=quantized, weight=integers.numpy(), scale=scale.numpy(), bias=(bias + shift).numpy()
        )
        return expected + bias, product + shift + bias

    def grid(self, low: float, high: float, smooth: NDArray[np.float32] | None = None) -> QuantizedInput:
        """A uint8 grid from ``low`` to ``high``: clipping even rare outliers costs more than it saves."""
        low, high = min(0.0, low), max(0.0, high)
        if self.symmetric:
            step, zero = max(high, -low, _MIN_RANGE) / 127, 128
        else:
            step = max(high - low, _MIN_RANGE) / 255
            zero = min(255, max(0, round(-low / step)))
        # The graph holds it as a float32.
        return QuantizedInput(smooth=smooth, scale=float(np.float32(step)), zero=zero)

    def add(self, x: Pair, y: Pair, name: str) -> Pair:
        return self.norm(x[0] + y[0], name), self.norm(x[1] + y[1], name)

    def norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        gamma, beta = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return torch.nn.functional.layer_norm(x, gamma.shape, gamma, beta, self.architecture.epsilon)


def _smoothing(x: torch.Tensor, weights: Sequence[torch.Tensor], alpha: float) -> torch.Tensor:
    """The factor of each input channel: float [in], 1 on geometric average."""
    wide = x.abs().amax(0).clamp(min=_MIN_RANGE)
    heavy = torch.stack([weight.abs().amax(0) for weight in weights]).amax(0).clamp(min=_MIN_RANGE)
    factors = heavy ** (1 - alpha) / wide**alpha
    return factors / factors.log().mean().exp()


def _through_int8(table: torch.Tensor) -> torch.Tensor:
    """An embedding table [entries, hidden] as the graph reads it."""
    integers, scale = quantized_rows(table.numpy())
    return torch.from_numpy(integers * scale)
