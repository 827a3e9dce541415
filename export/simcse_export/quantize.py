"""Chooses the int8 numbers of a BERT or RoBERTa encoder: scales of activations, and weights rounded to fit.

Activations are quantized per tensor with constants that calibration finds, so a row's result depends on no other row.
What makes that good enough:

- SmoothQuant (Xiao et al. 2022, arXiv:2211.10438): a channel's range moves from the activations into the weights by a
  factor max|x|^α / max|w|^(1-α) a channel. Feed-forward outputs have a few channels ten times as wide as the others, so
  their α is high.
- The factors of the attention's output go into the value projection, which costs nothing at run time.
- Weights are rounded with GPTQ against the activations as the quantized layers before deliver them (`rounding`).
- What quantization shifts on average is taken out of each bias.
- With a CLS pooler, the last layer's attention output and feed-forward output stay in float32: they run on one row a
  sentence, and no later layer evens their errors out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.activations import ACT2FN

from .calibration import Sample
from .graph import TOKEN_TYPES, Architecture, Weights
from .rounding import round_weights, scales

# How much of a channel's range moves into the weights, for each of a layer's inputs.
_ALPHA = {"attention": 0.8, "output": 0.8, "up": 0.7, "down": 0.85}
_LEAST = 1e-5


@dataclass(frozen=True, kw_only=True)
class QuantizedInput:
    """How a tensor becomes uint8: round(x · smooth / scale) + zero, clipped.

    Attributes:
        smooth: float32 [features], or None where the factors are in what computes the tensor.
        scale: the step.
        zero: what 0.0 becomes.
    """

    smooth: NDArray[np.float32] | None
    scale: float
    zero: int


@dataclass(frozen=True, kw_only=True)
class QuantizedLinear:
    """One linear layer in integers.

    Attributes:
        given: how its input is quantized; layers of one input share the object.
        weight: int8 [out, in].
        scale: float32 [out].
        bias: float32 [out].
    """

    given: QuantizedInput
    weight: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]


Pair = tuple[torch.Tensor, torch.Tensor]


@torch.inference_mode()
def quantize(
    architecture: Architecture,
    weights: Weights,
    sentences: Sequence[Sequence[int]],
    *,
    first_only: bool,
) -> dict[str, QuantizedLinear]:
    """Run calibration sentences through the model, layer by layer, and quantize each layer on what reaches it.

    Args:
        architecture: the model's numbers.
        weights: as for `graph.author`.
        sentences: token ids, special ones included.
        first_only: whether the pooler reads the first token alone.

    Returns:
        A layer's name → its integers; the linear layers that are not in it stay as they are.
    """
    return _Quantizer(architecture, weights, Sample(sentences)).run(first_only)


class _Quantizer:
    """Carries the calibration tokens through the model twice: in float, and as the quantized layers will see them."""

    def __init__(self, architecture: Architecture, weights: Weights, sample: Sample) -> None:
        self.architecture = architecture
        self.weights: Mapping[str, torch.Tensor] = {name: torch.from_numpy(array) for name, array in weights.items()}
        self.sample = sample
        self.found: dict[str, QuantizedLinear] = {}

    def run(self, first_only: bool) -> dict[str, QuantizedLinear]:
        layers = self.architecture.layers
        x = self.embeddings()
        pair = (x, x)
        for i in range(layers):
            pair = self.layer(f"encoder.layer.{i}", pair, exact=first_only and i == layers - 1)
        return self.found

    def embeddings(self) -> torch.Tensor:
        places = self.sample.places
        if self.architecture.family == "roberta":
            places = places + self.architecture.padding_id + 1
        x = self.weights["embeddings.word_embeddings.weight"][self.sample.ids]
        x = x + self.weights["embeddings.position_embeddings.weight"][places]
        if TOKEN_TYPES in self.weights:
            x = x + self.weights[TOKEN_TYPES][0]
        return self.norm(x, "embeddings.LayerNorm")

    def layer(self, name: str, x: Pair, *, exact: bool) -> Pair:
        attend, act = self.sample.attend, ACT2FN[self.architecture.activation]
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        query, key, value = self.linear(parts, x, "attention")
        heads = self.architecture.heads
        context = (attend(query[0], key[0], value[0], heads), attend(query[1], key[1], value[1], heads))
        output, down = f"{name}.attention.output.dense", f"{name}.output.dense"
        y = self.float(output, context) if exact else self.linear([output], context, "output", folded=parts[2])[0]
        x = self.add(x, y, f"{name}.attention.output.LayerNorm")
        (y,) = self.linear([f"{name}.intermediate.dense"], x, "up")
        y = (act(y[0]), act(y[1]))
        y = self.float(down, y) if exact else self.linear([down], y, "down")[0]
        return self.add(x, y, f"{name}.output.LayerNorm")

    def float(self, name: str, x: Pair) -> Pair:
        """What a layer that stays in float32 gives."""
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return x[0] @ weight.T + bias, x[1] @ weight.T + bias

    def linear(self, names: list[str], x: Pair, place: str, folded: str | None = None) -> list[Pair]:
        """Quantize the layers of one input; what they give in float and in integers.

        Args:
            names: the layers.
            x: their input, in float and as the quantized layers before give it.
            place: where in the layer they stand, a key of `_ALPHA`.
            folded: the layer that gives the input and takes the smoothing factors into its own scale.
        """
        exact, given = x
        weights = [self.weights[f"{name}.weight"] for name in names]
        smooth = _smoothing(exact, weights, _ALPHA[place])
        scaled = given * smooth
        step, zero = _range(scaled)
        rounded = ((scaled / step).round() + zero).clamp(0, 255).sub(zero).mul(step)
        covariance = rounded.T @ rounded
        described = QuantizedInput(smooth=None if folded else smooth.numpy(), scale=step, zero=zero)
        if folded:
            before = self.found[folded]
            factors = smooth.numpy()
            self.found[folded] = QuantizedLinear(
                given=before.given, weight=before.weight, scale=before.scale * factors, bias=before.bias * factors
            )
        results = []
        for name, weight in zip(names, weights, strict=True):
            target = weight / smooth
            scale = scales(target)
            integers = round_weights(target, covariance, scale)
            wanted = exact @ weight.T
            got = rounded @ (integers * scale[:, None]).T
            shift = (wanted - got).mean(0)
            bias = self.weights[f"{name}.bias"]
            self.found[name] = QuantizedLinear(
                given=described, weight=integers.numpy(), scale=scale.numpy(), bias=(bias + shift).numpy()
            )
            results.append((wanted + bias, got + shift + bias))
        return results

    def add(self, x: Pair, y: Pair, name: str) -> Pair:
        return self.norm(x[0] + y[0], name), self.norm(x[1] + y[1], name)

    def norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        gamma, beta = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return torch.nn.functional.layer_norm(x, gamma.shape, gamma, beta, self.architecture.epsilon)


def _smoothing(x: torch.Tensor, weights: Sequence[torch.Tensor], alpha: float) -> torch.Tensor:
    """What each input channel is multiplied with before it is quantized: float [in], 1 on geometric average."""
    wide = x.abs().amax(0).clamp(min=_LEAST)
    heavy = torch.stack([weight.abs().amax(0) for weight in weights]).amax(0).clamp(min=_LEAST)
    factors = heavy ** (1 - alpha) / wide**alpha
    return factors / factors.log().mean().exp()


def _range(x: torch.Tensor) -> tuple[float, int]:
    """Step and zero of a uint8 that covers all of ``x``: clipping even rare outliers costs more than it saves."""
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
    # As the graph has it: a float32 of its own.
    step = float(np.float32(max(high - low, _LEAST) / 255))
    return step, min(255, max(0, round(-low / step)))
