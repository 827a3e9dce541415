"""Tensors of DistilBERT and MPNet under BERT's names."""

import pytest

from simcse_export.checkpoint.architecture import Architecture
from simcse_export.checkpoint.names import canonical_name
from support.checkpoints import random_model


@pytest.mark.parametrize("model_type", ["bert", "roberta", "distilbert", "mpnet"])
def test_every_tensor_has_the_name_and_the_shape_that_the_architecture_says(model_type: str) -> None:
    model = random_model(model_type, 40)
    architecture = Architecture.of(model.config.to_dict())
    assert architecture is not None
    shapes = {canonical_name(name): tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert len(shapes) == len(model.state_dict())
    shapes.pop("embeddings.token_type_embeddings.weight", None)
    expected = architecture.shapes("avg" if model_type == "distilbert" else "cls")
    assert shapes == expected


def test_modules_have_names_too() -> None:
    for model_type in ("distilbert", "mpnet"):
        modules = {canonical_name(name) for name, _ in random_model(model_type, 40).named_modules()}
        assert {"encoder.layer.1.attention.self.query", "encoder.layer.1.intermediate.dense"} <= modules


def test_other_names_stay() -> None:
    for name in ("pooler.dense.weight", "encoder.layer.0.output.dense.bias", "transformer.layer.0.other", "a.b"):
        assert canonical_name(name) == name
    assert canonical_name("embeddings.LayerNorm.gamma") == "embeddings.LayerNorm.weight"
