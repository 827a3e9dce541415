"""Folders of sentence-transformers are read as the library reads them, and what an artifact cannot have is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from simcse_engine import Encoder, Manifest
from simcse_engine.artifact.manifest import NO_PROMPTS
from simcse_engine.errors import CheckpointError, CheckpointWarning, UnsupportedModelError
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.checkpoint import open_checkpoint
from simcse_export.checkpoint.sentence_transformers import SentenceTransformer
from support.checkpoints import edit_json, make_sentence_transformers, write_json
from support.forward import assert_equal, forward

SETTINGS, CONFIG = "sentence_bert_config.json", "config_sentence_transformers.json"

# What release 6.2 writes.
NEW_SETTINGS = {
    "transformer_task": "feature-extraction",
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
}
NEW_CONFIG = {
    "__version__": {"pytorch": "2.13.0", "sentence_transformers": "6.2.0", "transformers": "5.24.0"},
    "default_prompt_name": None,
    "model_type": "SentenceTransformer",
    "prompts": {"document": "", "query": ""},
    "similarity_fn_name": "cosine",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_sentence_transformers(tmp_path / "folder")


def stated(folder: Path) -> SentenceTransformer:
    result = open_checkpoint(folder).stated
    assert result is not None
    return result


def edit_modules(folder: Path, *changes: dict[str, Any]) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    write_json(folder / "modules.json", [module | change for module, change in zip(modules, changes, strict=True)])


@pytest.mark.parametrize("transformer", ["", "0_Transformer"])
@pytest.mark.parametrize(("mode", "pooler"), [("mean_tokens", "avg"), ("cls_token", "cls_before_pooler")])
def test_a_folder(tmp_path: Path, mode: str, pooler: str, transformer: str) -> None:
    folder = make_sentence_transformers(tmp_path / "checkpoint", mode=mode, transformer=transformer)
    manifest = export(folder, tmp_path / "artifact")
    assert (manifest.pooler, manifest.max_tokens, manifest.source.id) == (pooler, 48, "checkpoint")
    assert manifest.max_tokens_source == f"max_seq_length in {SETTINGS}"
    assert_equal(tmp_path / "artifact", forward(folder / transformer, pooler, max_tokens=48))


def test_what_is_asked_goes_before_what_is_stated(folder: Path, tmp_path: Path) -> None:
    manifest = export(folder, tmp_path / "artifact", ExportOptions(pooler="avg_top2", max_tokens=20))
    assert (manifest.pooler, manifest.max_tokens, manifest.max_tokens_source) == ("avg_top2", 20, "as chosen")


@pytest.mark.parametrize(
    "kinds",
    [
        ["models.Transformer", "models.Pooling", "models.Normalize"],
        [
            "base.modules.transformer.Transformer",
            "sentence_transformer.modules.pooling.Pooling",
            "base.modules.normalize.Normalize",
        ],
        ["models.Transformer", "models.Pooling", "models.Dropout"],
    ],
)
def test_modules_by_all_their_names(folder: Path, kinds: list[str]) -> None:
    edit_modules(folder, *({"type": f"sentence_transformers.{kind}"} for kind in kinds))
    assert stated(folder).warnings == ()


@pytest.mark.parametrize("extra", ["LayerNorm", "LSTM", "WeightedLayerPooling", "Router"])
def test_a_module_that_cannot_be_exported(tmp_path: Path, extra: str) -> None:
    folder = make_sentence_transformers(tmp_path, extra=extra)
    with pytest.raises(UnsupportedModelError, match=f"modules Transformer, Pooling, {extra}; only"):
        open_checkpoint(folder)


def test_modules_that_are_missing(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    for some, named in ([], r"\(none\)"), (modules[:1], "Transformer"), (modules[1:], "Pooling, Normalize"):
        write_json(folder / "modules.json", some)
        with pytest.raises(UnsupportedModelError, match=f"modules {named}; only Transformer, Pooling"):
            open_checkpoint(folder)


@pytest.mark.parametrize("kind", ["custom_st.Transformer", "Transformer", "my.sentence_transformers.Transformer"])
def test_a_module_of_the_checkpoints_own_code(folder: Path, kind: str) -> None:
    edit_modules(folder, {"type": kind}, {}, {})
    with pytest.raises(UnsupportedModelError, match=f"type is '{kind}': code of its own, which is never run"):
        open_checkpoint(folder)


@pytest.mark.parametrize("content", [{}, [3], [{"type": "a.Transformer"}], [{"type": 1, "path": ""}], [None]])
def test_a_broken_list_of_modules(folder: Path, content: object) -> None:
    write_json(folder / "modules.json", content)
    with pytest.raises(CheckpointError, match=r"modules\.json"):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    "path", ["../other", "1_Pooling/../..", "/etc", "C:\\other", "..\\other", "\\\\host\\share", "1_Pooling\0"]
)
def test_a_module_outside_of_the_folder(folder: Path, path: str) -> None:
    edit_modules(folder, {}, {"path": path}, {})
    with pytest.raises(
        CheckpointError, match=r"modules\.json: a module's path is .*; expected a folder below this one"
    ):
        open_checkpoint(folder)


@pytest.mark.parametrize("path", ["1_Pooling/", "./1_Pooling", "a/b"])
def test_a_module_in_an_odd_place(folder: Path, path: str) -> None:
    (folder / "a").mkdir()
    (folder / "1_Pooling").rename(folder / "a/b") if path == "a/b" else None
    edit_modules(folder, {"path": "."}, {"path": path}, {})
    assert stated(folder).pooler == "avg"


def test_missing_pieces(folder: Path) -> None:
    (folder / "1_Pooling/config.json").unlink()
    with pytest.raises(CheckpointError, match=r"1_Pooling.config\.json: missing"):
        open_checkpoint(folder)
    edit_modules(folder, {"path": "0_Transformer"}, {}, {})
    write_json(folder / "1_Pooling/config.json", {"pooling_mode": "mean"})
    with pytest.raises(CheckpointError, match=r"0_Transformer.config\.json: missing"):
        open_checkpoint(folder)


@pytest.mark.parametrize("name", ["roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"])
def test_settings_by_their_other_names(folder: Path, name: str) -> None:
    (folder / SETTINGS).rename(folder / f"sentence_{name}_config.json")
    length = stated(folder).length
    assert length is not None
    assert (length.tokens, length.source) == (48, f"max_seq_length in sentence_{name}_config.json")
    # An empty file counts as none, and any other before it counts.
    write_json(folder / SETTINGS, {})
    assert stated(folder).length == length
    write_json(folder / SETTINGS, {"max_seq_length": 9})
    assert stated(folder).length != length


def test_no_settings(folder: Path, tmp_path: Path) -> None:
    (folder / SETTINGS).unlink()
    assert export(folder, tmp_path / "artifact").max_tokens == 64
    assert_equal(tmp_path / "artifact", forward(folder, "avg"))


@pytest.mark.parametrize(
    ("config", "pooler"),
    [
        ({"word_embedding_dimension": 32, "pooling_mode": "mean"}, "avg"),
        ({"embedding_dimension": 32, "pooling_mode": "cls", "include_prompt": False}, "cls_before_pooler"),
        ({"pooling_mode": ["cls"]}, "cls_before_pooler"),
        ({"pooling_mode": "max"}, "max"),
        ({"pooling_mode": "mean_sqrt_len_tokens"}, "mean_sqrt_len"),
        ({"pooling_mode": "weightedmean"}, "weightedmean"),
        ({"pooling_mode": "lasttoken"}, "lasttoken"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_mean_sqrt_len_tokens": True, "pooling_mode_mean_tokens": False}, "mean_sqrt_len"),
        ({"pooling_mode_weightedmean_tokens": True}, "weightedmean"),
        ({"pooling_mode_lasttoken": True}, "lasttoken"),
        ({"pooling_mode": "cls", "pooling_mode_mean_tokens": True}, "cls_before_pooler"),
        ({"pooling_mode_mean_tokens": 1, "pooling_mode_cls_token": False}, "avg"),
        # The library's own default.
        ({"pooling_mode_mean_tokens": False}, "avg"),
        ({"word_embedding_dimension": 32}, "avg"),
    ],
)
def test_ways_to_state_the_pooling(folder: Path, config: dict[str, Any], pooler: str) -> None:
    write_json(folder / "1_Pooling/config.json", config)
    assert stated(folder).pooler == pooler


@pytest.mark.parametrize(
    ("config", "modes"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, r"cls \+ mean"),
        ({"pooling_mode": ["mean", "max", "lasttoken"]}, r"mean \+ max \+ lasttoken"),
    ],
)
def test_several_modes_of_pooling_are_named(folder: Path, config: dict[str, Any], modes: str) -> None:
    write_json(folder / "1_Pooling/config.json", config)
    with pytest.raises(UnsupportedModelError, match=f"pools by {modes}; vectors of several modes, joined, cannot be"):
        open_checkpoint(folder)


@pytest.mark.parametrize("mode", ["median", None, [], 3, [["mean"]], {"mean": True}])
def test_a_mode_of_pooling_that_is_none(folder: Path, mode: object) -> None:
    write_json(folder / "1_Pooling/config.json", {"pooling_mode": mode})
    with pytest.raises(CheckpointError, match=r"pooling_mode is \[.*; expected one of cls, max, mean"):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    "config",
    [
        {"prompts": {}, "default_prompt_name": None},
        {"prompts": {"query": ""}, "default_prompt_name": "query"},
        {"prompts": {"query": None}, "default_prompt_name": "query"},
        {"prompts": None, "default_prompt_name": "document"},
        {"default_prompt_name": ""},
    ],
)
def test_no_prompt_and_an_empty_one(folder: Path, config: dict[str, Any]) -> None:
    write_json(folder / CONFIG, config)
    found = stated(folder)
    assert found.warnings == ()
    assert found.prompts == NO_PROMPTS
    assert found.default_prompt_name == (config.get("default_prompt_name") or None)


def test_prompts(folder: Path) -> None:
    prompts = {"passage": "passage: ", "query": " query:\n", "other": None}
    write_json(folder / CONFIG, {"prompts": prompts, "default_prompt_name": "passage"})
    found = stated(folder)
    assert found.warnings == ()
    assert found.prompts == {"query": " query:\n", "document": "", "passage": "passage: ", "other": ""}
    assert found.default_prompt_name == "passage"
    write_json(folder / CONFIG, {"prompts": prompts, "default_prompt_name": "none such"})
    with pytest.raises(CheckpointError, match="default_prompt_name is 'none such', which prompts does not have"):
        open_checkpoint(folder)
    write_json(folder / CONFIG, {"prompts": [], "default_prompt_name": ["query"]})
    with pytest.raises(CheckpointError, match="default_prompt_name"):
        open_checkpoint(folder)
    write_json(folder / CONFIG, {"prompts": "query: "})
    with pytest.raises(CheckpointError, match="prompts is 'query: '; expected a JSON object"):
        open_checkpoint(folder)
    for wrong in (5, ["query: "], "\ud800"):
        write_json(folder / CONFIG, {"prompts": {"query": wrong}})
        with pytest.raises(CheckpointError, match=r"prompts has 'query': .*; expected a text"):
            open_checkpoint(folder)


def test_prompts_are_in_the_manifest(folder: Path, tmp_path: Path) -> None:
    without = export(folder, tmp_path / "without")
    write_json(folder / CONFIG, {"prompts": {"query": ""}, "default_prompt_name": "query"})
    empty = export(folder, tmp_path / "empty")
    write_json(folder / CONFIG, {"prompts": {"query": "a cat: "}, "default_prompt_name": "query"})
    export(folder, tmp_path / "prompts")
    prompts = Manifest.read(tmp_path / "prompts")
    assert (prompts.prompts, prompts.default_prompt_name) == ({"query": "a cat: ", "document": ""}, "query")
    assert (without.format, empty.format, prompts.format) == (3, 3, 4)
    assert without.identity == empty.identity != prompts.identity
    assert {*prompts.files} == {*without.files}


def test_all_that_new_releases_write_is_known(folder: Path) -> None:
    write_json(folder / SETTINGS, NEW_SETTINGS)
    write_json(folder / CONFIG, NEW_CONFIG)
    write_json(
        folder / "1_Pooling/config.json", {"embedding_dimension": 32, "pooling_mode": "cls", "include_prompt": True}
    )
    (folder / "2_Normalize").mkdir()
    write_json(
        folder / "2_Normalize/config.json",
        dict.fromkeys(("module_input_name", "module_output_name"), "sentence_embedding"),
    )
    assert stated(folder).warnings == ()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (CONFIG, {"model_type": "SparseEncoder"}, "model_type is 'SparseEncoder'; only a SentenceTransformer"),
        (SETTINGS, {"transformer_task": "fill-mask"}, "transformer_task is 'fill-mask'; only feature-extraction"),
        (SETTINGS, {"module_output_name": "sentence_embedding"}, "module_output_name is 'sentence_embedding'"),
        (SETTINGS, {"tokenizer_name_or_path": "other"}, "tokenizer_name_or_path is 'other'"),
        (SETTINGS, {"modality_config": {"image": {"method": "forward"}}}, "it takes no text"),
        (SETTINGS, {"modality_config": {"message": {}}}, "modality_config: message is {}; texts in a chat template"),
        (
            SETTINGS,
            {"modality_config": {"text": {"method": "get_text_features"}}},
            "text: method is 'get_text_features'",
        ),
        (
            SETTINGS,
            {"modality_config": {"text": {"method_output_name": ["hidden_states", -2]}}},
            r"text: method_output_name is \['hidden_states', -2\]; only last_hidden_state",
        ),
        (
            SETTINGS,
            {"processing_kwargs": {"text": {"truncation": False}}},
            "processing_kwargs: text: truncation is False",
        ),
        (SETTINGS, {"processing_kwargs": {"common": {"add_special_tokens": False}}}, "add_special_tokens is False"),
        ("2_Normalize/config.json", {"module_input_name": "token_embeddings"}, "only sentence embeddings can be"),
    ],
)
def test_a_key_that_changes_vectors_is_refused(folder: Path, name: str, content: object, says: str) -> None:
    (folder / "2_Normalize").mkdir()
    write_json(folder / name, content)
    with pytest.raises(UnsupportedModelError, match=f"{Path(name).name}: .*{says}"):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (CONFIG, {"similarity_fn_name": "dot"}, "similarity_fn_name is 'dot'; vectors are compared by cosine here"),
        (CONFIG, {"temperature": 0.05}, "the key 'temperature' is unknown, and no artifact heeds it"),
        (SETTINGS, {"query_length": 16}, "query_length is 16; an artifact's encode_query and encode_document do not"),
        (SETTINGS, {"model_args": {"window": 3}}, "model_args: the key 'window' is unknown"),
        (SETTINGS, {"\x1b[2J": 1}, r"the key '\x1b[2J' is unknown"),
        (SETTINGS, {"\ud800": 1}, r"the key '\ud800' is unknown"),
        ("1_Pooling/config.json", {"pooling_mode": "mean", "dim": 3}, "the key 'dim' is unknown"),
    ],
)
def test_a_key_that_no_artifact_heeds_is_told(folder: Path, name: str, content: object, says: str) -> None:
    write_json(folder / name, content)
    (warning,) = stated(folder).warnings
    assert warning.startswith(f"{folder / name}: {says}")
    with pytest.warns(CheckpointWarning) as caught:
        export(folder, folder.parent / "artifact")
    assert [str(each.message) for each in caught] == [warning]


@pytest.mark.parametrize("key", ["processing_kwargs", "tokenizer_args", "modality_config"])
def test_a_setting_that_is_no_object(folder: Path, key: str) -> None:
    write_json(folder / SETTINGS, {key: ["text"]})
    with pytest.raises(CheckpointError, match=rf"{SETTINGS}: {key} is \['text'\]; expected a JSON object"):
        open_checkpoint(folder)


@pytest.mark.parametrize("pooler", ["cls", "cls_before_pooler", "avg", "avg_top2", "avg_first_last"])
@pytest.mark.parametrize("normalize", [True, False])
def test_truncate_dim(folder: Path, tmp_path: Path, pooler: str, normalize: bool) -> None:
    write_json(folder / CONFIG, {"truncate_dim": 5})
    manifest = export(folder, tmp_path / "artifact", ExportOptions(pooler=pooler, normalize=normalize))
    assert (manifest.dimension, manifest.architecture["truncate_dim"]) == (5, 5)
    vectors = forward(folder, pooler, max_tokens=48, normalize=False)[:, :5]
    if normalize:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert_equal(tmp_path / "artifact", vectors)


def test_artifacts_of_other_dimensions_are_of_other_models(folder: Path, tmp_path: Path) -> None:
    whole = export(folder, tmp_path / "whole")
    for count in (32, 500):  # nothing to cut
        write_json(folder / CONFIG, {"truncate_dim": count})
        same = export(folder, tmp_path / f"{count}")
        assert (same.dimension, same.identity, same.model) == (32, whole.identity, whole.model)
    write_json(folder / CONFIG, {"truncate_dim": 31})
    assert export(folder, tmp_path / "31").model != whole.model


@pytest.mark.parametrize("count", [0, -1, 2.0, "16", True, [16]])
def test_a_truncate_dim_that_is_none(folder: Path, count: object) -> None:
    write_json(folder / CONFIG, {"truncate_dim": count})
    with pytest.raises(CheckpointError, match=rf"{CONFIG}: truncate_dim is .*; expected a count of floats"):
        open_checkpoint(folder)


@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_lowercase_of_a_tokenizer_that_keeps_case(tmp_path: Path, model_type: str) -> None:
    folder = make_sentence_transformers(tmp_path / "folder", model_type=model_type)
    if model_type == "bert":
        AutoTokenizer.from_pretrained(folder, do_lower_case=False).save_pretrained(folder)
    assert export(folder, tmp_path / "cased").dimension == 32
    edit_json(folder / SETTINGS, do_lower_case=True)
    export(folder, tmp_path / "lowercased")
    texts = ["A CAT", "a cat", "Größere ÜBUNGEN"]
    with Encoder(tmp_path / "cased") as cased, Encoder(tmp_path / "lowercased") as lowercased:
        vectors = lowercased.encode(texts)
        assert (vectors == cased.encode([text.lower() for text in texts])).all()
        assert not (vectors == cased.encode(texts)).all()


def test_lowercase_of_a_tokenizer_that_keeps_none_changes_nothing(folder: Path, tmp_path: Path) -> None:
    without = export(folder, tmp_path / "without")
    edit_json(folder / SETTINGS, do_lower_case=True)
    assert export(folder, tmp_path / "artifact").identity == without.identity
