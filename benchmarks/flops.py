"""How much arithmetic a model takes: the products of its linear layers."""

from dataclasses import dataclass
from typing import Self

from simcse_engine.artifact.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Flops:
    """Multiplications and additions of an encoder's linear layers: two per weight and token.

    A layer has four products of hidden x hidden (query, key, value, attention's output) and two of hidden x
    intermediate. Attention's own products, whose number grows with the text's length, norms and activations are left
    out.
    """

    layers: int
    hidden: int
    intermediate: int
    pooler: str  # one of `simcse_engine.artifact.kinds.POOLERS`

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """Read the numbers from the manifest of a graph that the export wrote itself."""
        numbers = {name: manifest.architecture[name] for name in ("layers", "hidden", "intermediate")}
        return cls(**numbers, pooler=manifest.pooler)

    @property
    def per_token(self) -> int:
        """Of the full model, whatever the pooler: layers x 2 (4 hidden² + 2 hidden x intermediate)."""
        return self.layers * 2 * (4 * self.hidden**2 + 2 * self.hidden * self.intermediate)

    def executed_per_token(self, tokens_per_sentence: float) -> float:
        """What the graph really multiplies per token, for sentences of this average length.

        For the poolers cls and cls_before_pooler the last layer computes keys and values for all tokens, and all else
        for each sentence's first token alone; cls adds one product of hidden x hidden for that token.
        """
        if self.pooler not in ("cls", "cls_before_pooler"):
            return float(self.per_token)
        layer, square = self.per_token // self.layers, 2 * self.hidden**2
        keys_values = 2 * square
        first = layer - keys_values + (square if self.pooler == "cls" else 0)
        return self.per_token - layer + keys_values + first / tokens_per_sentence
