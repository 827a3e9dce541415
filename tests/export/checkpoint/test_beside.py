"""The files beside a padded graph say to other programs what the artifact says to ours."""

import json
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoTokenizer

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import PADDED_FILES
from simcse_export import ExportOptions, export
from support.checkpoints import edit_json, make_checkpoint
from support.forward import TEXTS


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_transformers_reads_them(tmp_path: Path, family: str) -> None:
    checkpoint, artifact = make_checkpoint(tmp_path / "checkpoint", model_type=family), tmp_path / "artifact"
    edit_json(checkpoint / "config.json", _name_or_path="/home/somebody/run-7")
    export(checkpoint, artifact, ExportOptions(pooler="avg", layout="padded", max_tokens=20))
    config = AutoConfig.from_pretrained(artifact)
    assert (config.model_type, config.hidden_size) == (family, 32)
    tokenizer = AutoTokenizer.from_pretrained(artifact)
    assert type(tokenizer) is type(AutoTokenizer.from_pretrained(checkpoint))
    assert tokenizer.model_max_length == 20
    with Encoder(artifact, truncate="silent") as encoder:
        assert tokenizer(TEXTS, truncation=True)["input_ids"] == encoder._tokenizer.encode(TEXTS).ids
    assert not any("somebody" in (artifact / name).read_text() for name in PADDED_FILES)


def test_special_tokens_keep_their_flags(tmp_path: Path) -> None:
    checkpoint, artifact = make_checkpoint(tmp_path / "checkpoint", model_type="roberta"), tmp_path / "artifact"
    export(checkpoint, artifact, ExportOptions(pooler="avg", layout="padded"))
    tokens = json.loads((artifact / "special_tokens_map.json").read_text())
    saved = json.loads((artifact / "tokenizer.json").read_text())["added_tokens"]
    assert tokens.keys() == {f"{role}_token" for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")}
    for token in tokens.values():
        (same,) = [each for each in saved if each["content"] == token["content"]]
        assert same == {**token, "special": True, "id": same["id"]}
    assert json.loads((artifact / "tokenizer_config.json").read_text()).keys().isdisjoint({"is_local", "name_or_path"})
