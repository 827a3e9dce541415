"""Canonical names: those of BERT's tensors and modules in transformers, whatever a family calls its own."""

import re

_LAYER = re.compile(r"(transformer|encoder)\.layer\.(\d+)\.(.+?)(\.weight|\.bias)?")
# Parts of a layer, by what its family calls the layers' parent: DistilBERT's and MPNet's.
_PARTS = {
    "transformer": {
        "attention.q_lin": "attention.self.query",
        "attention.k_lin": "attention.self.key",
        "attention.v_lin": "attention.self.value",
        "attention.out_lin": "attention.output.dense",
        "sa_layer_norm": "attention.output.LayerNorm",
        "ffn.lin1": "intermediate.dense",
        "ffn.lin2": "output.dense",
        "output_layer_norm": "output.LayerNorm",
    },
    "encoder": {
        "attention.attn.q": "attention.self.query",
        "attention.attn.k": "attention.self.key",
        "attention.attn.v": "attention.self.value",
        "attention.attn.o": "attention.output.dense",
        "attention.LayerNorm": "attention.output.LayerNorm",
    },
}

# Old checkpoints, bert-base-uncased among them, name a layer norm's two vectors as TensorFlow does.
_OLD_ENDINGS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def canonical_name(name: str) -> str:
    """The canonical name of a bare encoder's tensor or module; unknown ones stay as they are.

    >>> canonical_name("transformer.layer.3.attention.q_lin.weight")
    'encoder.layer.3.attention.self.query.weight'
    """
    for old, new in _OLD_ENDINGS.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    found = _LAYER.fullmatch(name)
    if found is None:
        return name
    parent, layer, part, ending = found.groups("")
    part = _PARTS[parent].get(part)
    return name if part is None else f"encoder.layer.{layer}.{part}{ending}"
