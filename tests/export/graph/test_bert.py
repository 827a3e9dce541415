"""The authored graph computes what transformers computes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from transformers import AutoTokenizer

from simcse_engine.artifact.kinds import POOLERS
from simcse_engine.artifact.manifest import GRAPH, WEIGHTS
from simcse_engine.errors import CheckpointError, UnsupportedModelError
from simcse_engine.machine.kernels import chosen_variant, load_library
from simcse_engine.session.kernels import kernels_for, without_kernels
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.architecture import ACTIVATIONS
from support.checkpoints import edit_json, edit_weights, make_checkpoint
from support.forward import TEXTS, assert_equal, encoded, forward

Make = Callable[[str, bool], Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    checkpoints: dict[tuple[str, bool], Path] = {}

    def make(model_type: str, raw: bool) -> Path:
        if (model_type, raw) not in checkpoints:
            folder = tmp_path_factory.mktemp(model_type)
            checkpoints[model_type, raw] = make_checkpoint(folder, model_type=model_type, raw=raw)
        return checkpoints[model_type, raw]

    return make


@pytest.fixture
def kernels() -> str:
    """The variant of our kernels that sessions get here."""
    variant = chosen_variant(load_library())
    if variant is None:
        pytest.skip("no kernels run here")
    return variant


@pytest.mark.parametrize("raw", [False, True], ids=["converted", "raw"])
@pytest.mark.parametrize("model_type", ["bert", "roberta"])
@pytest.mark.parametrize("pooler", POOLERS)
def test_vectors_are_those_of_transformers(make: Make, tmp_path: Path, pooler: str, model_type: str, raw: bool) -> None:
    checkpoint = make(model_type, raw)
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler=pooler))
    assert manifest.architecture["graph"] == "authored"
    expected = forward(checkpoint, pooler)
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, rtol=1e-6)
    assert_equal(tmp_path / "artifact", expected)


@pytest.mark.parametrize("pooler", ["cls", "cls_before_pooler", "avg", "avg_first_last", "lasttoken"])
@pytest.mark.parametrize(("model_type", "raw"), [("distilbert", True), ("mpnet", False), ("mpnet", True)])
def test_relatives_of_bert(make: Make, tmp_path: Path, model_type: str, raw: bool, pooler: str) -> None:
    checkpoint = make(model_type, raw)
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler=pooler))
    assert (manifest.architecture["graph"], manifest.max_tokens) == ("authored", 64)
    expected = forward(checkpoint, pooler)
    assert_equal(tmp_path / "artifact", expected)
    with without_kernels():
        assert_equal(tmp_path / "artifact", expected)


@pytest.mark.parametrize("model_type", ["distilbert", "mpnet"])
def test_relatives_of_bert_run_in_our_kernels(make: Make, tmp_path: Path, kernels: str, model_type: str) -> None:
    export(make(model_type, True), tmp_path / "artifact", ExportOptions(pooler="avg"))
    assert kernels_for(tmp_path / "artifact", "cpu").variant == kernels


def test_distances_that_share_a_bucket(tmp_path: Path) -> None:
    """Of texts longer than 128 tokens, beyond which all distances are one to MPNet."""
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="mpnet", max_position_embeddings=302)
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls_before_pooler", max_tokens=300))
    assert manifest.max_tokens == 300
    texts = ["a" + " dog" * n for n in (3, 90, 130, 200, 296, 297, 298, 299, 400)] + ["the cat " * 70]
    expected = forward(checkpoint, "cls_before_pooler", texts, max_tokens=300)
    assert_equal(tmp_path / "artifact", expected, texts)
    with without_kernels():
        assert_equal(tmp_path / "artifact", expected, texts)


@pytest.mark.parametrize("model_type", ["bert", "roberta", "distilbert", "mpnet"])
def test_the_texts_reach_below_at_and_beyond_the_longest(make: Make, model_type: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(make(model_type, False))
    lengths = {len(tokenizer(text, truncation=False, verbose=False)["input_ids"]) for text in TEXTS}
    assert {2, 3, 62, 63, 64, 65, 66} <= lengths


def test_the_poolers_differ(make: Make) -> None:
    vectors = [forward(make("bert", False), pooler, ["the cat sat"], normalize=False) for pooler in POOLERS]
    assert all(np.abs(a - b).max() > 1e-3 for i, a in enumerate(vectors) for b in vectors[:i])


@pytest.mark.parametrize("pooler", ["cls", "avg_first_last"])
def test_without_the_norm_vectors_keep_their_length(make: Make, tmp_path: Path, pooler: str) -> None:
    checkpoint = make("roberta", True)
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler=pooler, normalize=False))
    assert not manifest.normalized
    expected = forward(checkpoint, pooler, normalize=False)
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.all(np.abs(lengths - 1) > 1e-3)
    for vectors in encoded(tmp_path / "artifact"):
        np.testing.assert_allclose(vectors / lengths, expected / lengths, rtol=0, atol=2e-6)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation(tmp_path: Path, activation: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", hidden_act=activation)
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))
    assert manifest.architecture["graph"] == "authored"
    assert_equal(tmp_path / "artifact", forward(checkpoint, "avg"))


@pytest.mark.transformers_4
@pytest.mark.parametrize(
    "config",
    [
        {"hidden_act": "mish"},
        {"hidden_act": "gelu_10"},
        {"position_embedding_type": "relative_key"},
        {"position_embedding_type": "relative_key_query"},
        {"is_decoder": True},
        {"model_type": "mpnet", "relative_attention_num_buckets": 40},
    ],
    ids=str,
)
def test_what_the_authored_graph_does_not_know_goes_through_optimum(tmp_path: Path, config: dict[str, object]) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", **config)
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls"))
    assert manifest.architecture["graph"] == "optimum"
    assert_equal(tmp_path / "artifact", forward(checkpoint, "cls"))


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_act", "nonsense"), ("hidden_act", ["gelu"]), ("position_embedding_type", "nonsense")],
)
def test_what_transformers_does_not_know_is_refused(tmp_path: Path, key: str, value: object) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    edit_json(checkpoint / "config.json", **{key: value})
    with pytest.raises(UnsupportedModelError, match=f"{key} .*(nonsense|gelu)"):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))
    assert not (tmp_path / "artifact").exists()


@pytest.mark.parametrize("model_type", ["xlm-roberta", "camembert"])
def test_relatives_of_roberta_are_authored_too(tmp_path: Path, model_type: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="roberta")
    edit_json(checkpoint / "config.json", model_type=model_type)
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg_top2"))
    assert manifest.architecture["graph"] == "authored"
    assert_equal(tmp_path / "artifact", forward(checkpoint, "avg_top2"))


def test_the_numbers_of_distilberts_config_are_used(tmp_path: Path) -> None:
    numbers = {"dim": 48, "n_heads": 3, "hidden_dim": 40, "n_layers": 2, "activation": "relu"}
    numbers |= {"max_position_embeddings": 20, "sinusoidal_pos_embds": True}
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="distilbert", **numbers)
    # transformers computes DistilBERT with an epsilon of its own, whatever the file says.
    edit_json(checkpoint / "config.json", layer_norm_eps=0.1)
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))
    assert (manifest.dimension, manifest.max_tokens, manifest.architecture["layers"]) == (48, 20, 2)
    assert_equal(tmp_path / "artifact", forward(checkpoint, "avg", max_tokens=20))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("dim", None, "config.json lacks 'dim'"),
        ("n_heads", 5, "dim is 32, no multiple of n_heads 5"),
        ("activation", "nonsense", "activation 'nonsense' is unknown to transformers"),
    ],
)
def test_messages_name_distilberts_keys(tmp_path: Path, key: str, value: object, says: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="distilbert")
    edit_json(checkpoint / "config.json", **{key: value})
    with pytest.raises((CheckpointError, UnsupportedModelError), match=says):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))


def test_the_padding_id_of_mpnet_is_no_choice(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="mpnet", layer_norm_eps=1e-5)
    edit_json(checkpoint / "config.json", pad_token_id=4)
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))
    assert manifest.max_tokens == 64
    assert_equal(tmp_path / "artifact", forward(checkpoint, "avg"))


@pytest.mark.parametrize("pooler", POOLERS)
def test_one_layer(tmp_path: Path, pooler: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", num_hidden_layers=1)
    export(checkpoint, tmp_path / "artifact", ExportOptions(pooler=pooler))
    assert_equal(tmp_path / "artifact", forward(checkpoint, pooler))


def test_the_numbers_of_the_config_are_used(tmp_path: Path) -> None:
    numbers = {
        "hidden_size": 48,
        "num_attention_heads": 3,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "layer_norm_eps": 0.1,
        "max_position_embeddings": 20,
        "type_vocab_size": 1,
    }
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="roberta", **numbers)
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))
    assert (manifest.dimension, manifest.max_tokens) == (48, 18)
    assert_equal(tmp_path / "artifact", forward(checkpoint, "avg", max_tokens=18))


def test_a_padding_id_of_its_own(tmp_path: Path) -> None:
    # RoBERTa's positions count from the padding id, whatever the tokenizer pads with.
    checkpoint = make_checkpoint(
        tmp_path / "checkpoint", model_type="roberta", pad_token_id=4, max_position_embeddings=70
    )
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))
    assert manifest.max_tokens == 65
    assert_equal(tmp_path / "artifact", forward(checkpoint, "avg", max_tokens=65))


def test_a_model_without_token_types(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    types = "embeddings.token_type_embeddings.weight"
    edit_weights(checkpoint, lambda state: {name: tensor for name, tensor in state.items() if name != types})
    # transformers would make them up at random, so that there is no reference to compare with.
    with pytest.raises(CheckpointError, match="token_type_embeddings"):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))


@pytest.mark.parametrize("pooler", POOLERS)
@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_the_graph_is_valid_and_asks_for_what_it_needs(
    make: Make, tmp_path: Path, model_type: str, pooler: str
) -> None:
    export(make(model_type, False), tmp_path / "artifact", ExportOptions(pooler=pooler))
    onnx.checker.check_model(tmp_path / "artifact" / GRAPH, full_check=False)
    graph = onnx.load(tmp_path / "artifact" / GRAPH, load_external_data=False).graph
    assert [info.name for info in graph.input] == ["input_ids", "lengths"]
    assert [info.name for info in graph.output] == ["sentence_embedding"]
    names = {tensor.name for tensor in graph.initializer}
    assert ("pooler.dense.weight" in names) == (pooler == "cls")


def test_exporting_twice_gives_the_same_bytes(make: Make, tmp_path: Path) -> None:
    for name in ("first", "second"):
        export(make("bert", True), tmp_path / name, ExportOptions(pooler="cls"))
    for file in (GRAPH, WEIGHTS):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    first, second = (json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("first", "second"))
    assert first["identity"] == second["identity"]
    assert first["model"] == second["model"]


def test_the_identity_tells_artifacts_apart(make: Make, tmp_path: Path) -> None:
    variants = {
        "plain": ExportOptions(pooler="avg"),
        "pooler": ExportOptions(pooler="avg_top2"),
        "length": ExportOptions(pooler="avg", max_tokens=32),
        "norm": ExportOptions(pooler="avg", normalize=False),
    }
    manifests = [export(make("bert", False), tmp_path / name, options) for name, options in variants.items()]
    manifests.append(export(make("roberta", False), tmp_path / "checkpoint", variants["plain"]))
    assert len({manifest.identity for manifest in manifests}) == len(manifests)
    assert len({manifest.model for manifest in manifests}) == len(manifests)
