"""An adapter is never left out silently: it is refused by name, with the way to merge it."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from simcse_engine.errors import UnsupportedModelError
from simcse_export import ExportOptions, export
from support.checkpoints import edit_weights, make_checkpoint, make_sentence_transformers, write_json

LORA = {"peft_type": "LORA", "r": 4, "target_modules": ["query"], "base_model_name_or_path": "someone/bert"}
QUERY = "encoder.layer.0.attention.self.query"


def add_lora(folder: Path) -> None:
    write_json(folder / "adapter_config.json", LORA)
    tensors = {f"base_model.model.{QUERY}.lora_{part}.weight": torch.ones(4, 32) for part in "AB"}
    save_file(tensors, folder / "adapter_model.safetensors")


def refused(folder: Path, match: str) -> None:
    with pytest.raises(UnsupportedModelError, match=match):
        export(folder, folder.parent / "artifact", ExportOptions(pooler="avg"))
    assert not (folder.parent / "artifact").exists()


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("transformer", [None, "", "0_Transformer"])
def test_a_lora_adapter(tmp_path: Path, transformer: str | None, alone: bool) -> None:
    root = tmp_path / "checkpoint"
    if transformer is None:
        folder = make_checkpoint(root)
    else:
        folder = make_sentence_transformers(root, transformer=transformer) / transformer
    add_lora(folder)
    if alone:
        for name in ("config.json", "model.safetensors"):
            (folder / name).unlink()
    refused(root, r"adapter_config\.json: a LORA adapter.*AutoModel\.from_pretrained\('someone/bert'\).*merge_and_unl")


def test_an_adapter_whose_base_is_its_own_folder(tmp_path: Path) -> None:
    """The advice must not lead to a base that has the adapter applied already."""
    folder = make_checkpoint(tmp_path / "model")
    write_json(folder / "adapter_config.json", LORA | {"base_model_name_or_path": str(folder)})
    refused(folder, r"from_pretrained\('BASE'\), .*, where BASE is the model's folder without the adapter's files$")


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_model.bin"])
def test_an_adapter_without_its_config(tmp_path: Path, name: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    (checkpoint / name).write_bytes(b"any")
    refused(checkpoint, f"{name}: an adapter, which an export leaves out.*merge_and_unload")


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_fusion_config.json", "head_config.json"])
def test_what_adapterhub_writes(tmp_path: Path, name: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    write_json(checkpoint / name, {"config": {"architecture": "lora"}, "model_type": "bert"})
    refused(checkpoint, f"{name}: an adapter or a head of AdapterHub.*merge_adapter")


@pytest.mark.parametrize("name", [f"{QUERY}.lora_A", f"{QUERY}.loras.mine.lora_A", f"{QUERY}.base_layer.weight"])
@pytest.mark.parametrize("model_type", ["bert", "electra"])
def test_an_adapters_tensors_among_the_models(tmp_path: Path, model_type: str, name: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type=model_type)
    edit_weights(checkpoint, lambda state: state | {name: torch.ones(4, 32)})
    refused(checkpoint, "a tensor of an adapter, which an export leaves out; merge it")
