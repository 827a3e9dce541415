"""The longest text: chosen, stated by a folder of sentence-transformers, or SimCSE's default."""

import json
from pathlib import Path

import pytest

from simcse_engine.errors import CheckpointError
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.checkpoint import open_checkpoint
from simcse_export.checkpoint.length import Length, choose_length
from simcse_export.checkpoint.reference import Reference
from support.checkpoints import edit_json, make_checkpoint, make_sentence_transformers, write_json
from support.forward import assert_equal, forward

SETTINGS, TOKENIZER = "sentence_bert_config.json", "tokenizer_config.json"


def chosen(folder: Path, choice: int | None = None) -> Length:
    files = open_checkpoint(folder)
    return choose_length(files, choice, Reference(files))


def length(folder: Path) -> tuple[int, str]:
    result = chosen(folder)
    return result.tokens, result.source


def test_a_plain_checkpoint(tmp_path: Path) -> None:
    bert = make_checkpoint(tmp_path / "bert")
    assert length(bert) == (64, "max_position_embeddings in config.json")
    assert chosen(bert, 64) == Length(tokens=64, source="as chosen")
    for wrong in (65, 2, 0, -1):
        with pytest.raises(CheckpointError, match=f"max_tokens={wrong}: bert takes from 3 to 64 tokens"):
            chosen(bert, wrong)
    # 66 positions, and the first token's is the one behind the padding id's.
    roberta = make_checkpoint(tmp_path / "roberta", model_type="roberta")
    assert chosen(roberta).tokens == 64
    with pytest.raises(CheckpointError, match="from 3 to 64"):
        chosen(roberta, 65)
    long = make_checkpoint(tmp_path / "long", max_position_embeddings=512)
    # Its tokenizer's length is for pretraining, and says nothing of SimCSE.
    edit_json(long / TOKENIZER, model_max_length=500)
    assert length(long) == (128, "SimCSE's default")
    assert chosen(long, 512).tokens == 512


@pytest.mark.parametrize("max_tokens", [3, 64])
def test_the_shortest_and_the_longest(tmp_path: Path, max_tokens: int) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="roberta")
    export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg", max_tokens=max_tokens))
    assert_equal(tmp_path / "artifact", forward(checkpoint, "avg", max_tokens=max_tokens))


@pytest.mark.parametrize(("stated", "used"), [(48, 48), (64, 64), (500, 64)])
def test_max_seq_length_is_capped_by_the_positions(tmp_path: Path, stated: int, used: int) -> None:
    folder = make_sentence_transformers(tmp_path, max_seq_length=stated)
    edit_json(folder / TOKENIZER, model_max_length=20)  # which is for folders that state nothing else
    assert chosen(folder).tokens == used


@pytest.mark.parametrize("settings", [{"max_seq_length": None}, {"do_lower_case": False}, {}, None])
@pytest.mark.parametrize(("tokenizer", "used"), [(32, 32), (10**30, 64), (None, 64), (500, 64)])
def test_without_max_seq_length_the_tokenizers_counts(
    tmp_path: Path, settings: object, tokenizer: int | None, used: int
) -> None:
    folder = make_sentence_transformers(tmp_path)
    if settings is None:
        (folder / SETTINGS).unlink()
    else:
        write_json(folder / SETTINGS, settings)
    edit_json(folder / TOKENIZER, model_max_length=tokenizer)
    source = "model_max_length in tokenizer_config.json" if used == 32 else "max_position_embeddings in config.json"
    assert length(folder) == (used, source)


def test_a_long_model_is_not_cut_at_the_default(tmp_path: Path) -> None:
    folder = make_sentence_transformers(tmp_path, max_seq_length=None, max_position_embeddings=512)
    edit_json(folder / TOKENIZER, model_max_length=512)
    assert chosen(folder).tokens == 512


def test_every_place_that_can_state_it(tmp_path: Path) -> None:
    folder = make_sentence_transformers(tmp_path, max_seq_length=48)
    for tokens, key, stated in [
        (40, "model_max_length", {"processor_kwargs": {"model_max_length": 40}}),
        (41, "model_max_length", {"tokenizer_args": {"model_max_length": 41}}),
        (42, "max_length", {"processing_kwargs": {"text": {"max_length": 42}}}),
        (43, "max_length", {"processing_kwargs": {"common": {"max_length": 43}, "text": {"max_length": 42}}}),
    ]:
        edit_json(folder / SETTINGS, **stated)
        assert length(folder) == (tokens, f"{key} in {SETTINGS}")


def test_no_length_at_all(tmp_path: Path) -> None:
    folder = make_sentence_transformers(tmp_path / "tiny", max_seq_length=None)
    edit_json(folder / TOKENIZER, model_max_length=10**30)
    # XLNet's way to say that its positions have no end.
    write_json(
        folder / "config.json", {**json.loads((folder / "config.json").read_text()), "max_position_embeddings": -1}
    )
    with pytest.raises(CheckpointError, match="tiny: its files state no longest text; pass max_tokens="):
        chosen(folder)
    assert chosen(folder, 200).tokens == 200


@pytest.mark.parametrize("stated", ["48", 4.5, True, float("nan"), [48]])
def test_a_length_that_is_none(tmp_path: Path, stated: object) -> None:
    folder = make_sentence_transformers(tmp_path / "folder")
    edit_json(folder / SETTINGS, max_seq_length=stated)
    with pytest.raises(CheckpointError, match=rf"{SETTINGS}: max_seq_length is .*; expected a count of tokens"):
        chosen(folder)
    (folder / SETTINGS).unlink()
    edit_json(folder / TOKENIZER, model_max_length=stated)
    with pytest.raises(CheckpointError, match=rf"{TOKENIZER}: model_max_length is .*; expected a count of tokens"):
        chosen(folder)


@pytest.mark.parametrize("stated", [2, 0, -1])
def test_a_length_without_room_for_text(tmp_path: Path, stated: int) -> None:
    folder = make_sentence_transformers(tmp_path / "folder", max_seq_length=stated)
    with pytest.raises(
        CheckpointError, match=rf"max_tokens={stated} \(max_seq_length in {SETTINGS}\): folder takes from"
    ):
        chosen(folder)
