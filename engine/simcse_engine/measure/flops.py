"""How much arithmetic a model takes: the linear layers' products, by which its speed is set against the machine's."""

from dataclasses import dataclass
from typing import Self

from ..artifact.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Flops:
    """Multiplications and additions of an encoder's linear layers, two a weight and token.

    A layer has four products of hidden x hidden (query, key, value, attention's output) and two of hidden x
    intermediate. Attention's own products, whose number grows with the text's length, norms and activations are left
    out.

    Attributes:
        pooler: one of `simcse_engine.artifact.kinds.POOLERS`.
    """

    layers: int
    hidden: int
    intermediate: int
    pooler: str

    @classmethod
    def of(cls, manifest: Manifest) -> Self | None:
        """Read the numbers from a manifest; None for a graph that is not our own, whose products are not known."""
        numbers = manifest.architecture
        if numbers.get("graph") != "authored":
            return None
        return cls(
            layers=numbers["layers"],
            hidden=numbers["hidden"],
            intermediate=numbers["intermediate"],
            pooler=manifest.pooler,
        )

    @property
    def per_token(self) -> int:
        """Of the full model, whatever the pooler: layers x 2 (4 hidden² + 2 hidden x intermediate)."""
        return self.layers * 2 * (4 * self.hidden**2 + 2 * self.hidden * self.intermediate)

    def executed_per_token(self, tokens_a_sentence: float) -> float:
        """What the graph really multiplies, a token, for sentences of so many tokens on average.

        For poolers cls and cls_before_pooler the last layer computes keys and values for all tokens and everything
        else for each sentence's first; cls has one more product of hidden x hidden for that first one.
        """
        if self.pooler not in ("cls", "cls_before_pooler"):
            return float(self.per_token)
        layer, square = self.per_token // self.layers, 2 * self.hidden**2
        keys_values = 2 * square
        first = layer - keys_values + (square if self.pooler == "cls" else 0)
        return self.per_token - layer + keys_values + first / tokens_a_sentence
