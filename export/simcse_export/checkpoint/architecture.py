"""The architecture of BERT and its relatives: its numbers as a config states them, and the tensors it has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from simcse_engine.errors import CheckpointError

# Tensors by their canonical names, those of transformers' bare BERT.
Weights = Mapping[str, NDArray[np.float32]]

TOKEN_TYPES = "embeddings.token_type_embeddings.weight"
RELATIVE_BIAS = "encoder.relative_attention_bias.weight"

# transformers implements each of these model types with the same computation as its family's first.
_FAMILIES = {
    "bert": "bert",
    "distilbert": "bert",
    "roberta": "roberta",
    "xlm-roberta": "roberta",
    "camembert": "roberta",
    "mpnet": "mpnet",
}
# What messages call all of these.
KNOWN = "BERT, DistilBERT, RoBERTa, XLM-RoBERTa, CamemBERT and MPNet"

# DistilBERT's keys of a config → those that all others have.
_DISTILBERT_KEYS = {
    "hidden_size": "dim",
    "num_attention_heads": "n_heads",
    "num_hidden_layers": "n_layers",
    "intermediate_size": "hidden_dim",
    "hidden_act": "activation",
}

# transformers computes MPNet with these, whatever its config says.
MPNET_PADDING_ID = 1
_MPNET_BUCKETS = 32

# A config's ``hidden_act`` → the function that it names; several names share one.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "silu": "silu",
    "swish": "silu",
    "relu": "relu",
    "tanh": "tanh",
}


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The numbers of an encoder.

    Attributes:
        family: "bert" (positions count from 0), "roberta" (from padding_id + 1, and padding tokens are skipped) or
            "mpnet" (as "roberta", and scores of attention have a bias by distance, see `attention_bias`).
        activation: the config's ``hidden_act``, a key of `ACTIVATIONS`.
    """

    family: str
    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    activation: str
    epsilon: float
    padding_id: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self | None:
        """Read a checkpoint's config; None where it states anything that `simcse_export.graph.bert` does not write."""
        family = _FAMILIES.get(config["model_type"])
        if (
            family is None
            or str(config.get(key_of(config, "hidden_act"), "gelu")) not in ACTIVATIONS
            or config.get("position_embedding_type", "absolute") != "absolute"
            or config.get("is_decoder")
            or config.get("add_cross_attention")
            or config.get("pruned_heads")
            or (family == "mpnet" and config.get("relative_attention_num_buckets", _MPNET_BUCKETS) != _MPNET_BUCKETS)
        ):
            return None
        hidden, heads = _count(config, "hidden_size"), _count(config, "num_attention_heads")
        if hidden % heads:
            names = key_of(config, "hidden_size"), key_of(config, "num_attention_heads")
            raise CheckpointError(f"config.json: {names[0]} is {hidden}, no multiple of {names[1]} {heads}")
        return cls(
            family=family,
            layers=_count(config, "num_hidden_layers"),
            hidden=hidden,
            heads=heads,
            intermediate=_count(config, "intermediate_size"),
            vocabulary=_count(config, "vocab_size"),
            positions=_count(config, "max_position_embeddings"),
            activation=config.get(key_of(config, "hidden_act"), "gelu"),
            epsilon=_epsilon(config),
            padding_id=(
                MPNET_PADDING_ID
                if family == "mpnet"
                else config.get("pad_token_id", 1 if family == "roberta" else 0) or 0
            ),
        )

    @property
    def skipped_id(self) -> int | None:
        """The id that positions count from behind, and whose tokens they skip; None where they count from 0."""
        return None if self.family == "bert" else self.padding_id

    @property
    def longest(self) -> int:
        """Most tokens that there are positions for."""
        return self.positions - (0 if self.skipped_id is None else self.skipped_id + 1)

    def shapes(self, pooler: str) -> dict[str, tuple[int, ...]]:
        """Every tensor that the graph needs, by its canonical name, with its shape."""
        hidden, wide = self.hidden, self.intermediate
        shapes: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (self.vocabulary, hidden),
            "embeddings.position_embeddings.weight": (self.positions, hidden),
        }

        def linear(name: str, features_out: int, features_in: int) -> None:
            shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (features_out, features_in), (features_out,)

        def norm(name: str) -> None:
            shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (hidden,)

        norm("embeddings.LayerNorm")
        if self.family == "mpnet":
            shapes[RELATIVE_BIAS] = (_MPNET_BUCKETS, self.heads)
        for i in range(self.layers):
            for part in ("query", "key", "value"):
                linear(f"encoder.layer.{i}.attention.self.{part}", hidden, hidden)
            linear(f"encoder.layer.{i}.attention.output.dense", hidden, hidden)
            norm(f"encoder.layer.{i}.attention.output.LayerNorm")
            linear(f"encoder.layer.{i}.intermediate.dense", wide, hidden)
            linear(f"encoder.layer.{i}.output.dense", hidden, wide)
            norm(f"encoder.layer.{i}.output.LayerNorm")
        if pooler == "cls":
            linear("pooler.dense", hidden, hidden)
        return shapes


def key_of(config: Mapping[str, Any], name: str) -> str:
    """The key under which a config has what most others have under ``name``."""
    return _DISTILBERT_KEYS.get(name, name) if config["model_type"] == "distilbert" else name


def _count(config: Mapping[str, Any], name: str) -> int:
    name = key_of(config, name)
    value = config.get(name)
    if not isinstance(value, int) or value < 1:
        raise CheckpointError(f"config.json lacks {name!r}" if value is None else f"config.json: {name} is {value!r}")
    return value


def _epsilon(config: Mapping[str, Any]) -> float:
    # DistilBERT's is no choice.
    value = 1e-12 if config["model_type"] == "distilbert" else config.get("layer_norm_eps", 1e-12)
    if not isinstance(value, float | int) or isinstance(value, bool) or not 0 < value < 1:
        raise CheckpointError(f"config.json: layer_norm_eps is {value!r}")
    return float(value)
