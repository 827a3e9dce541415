"""Adapters: small weights beside a model's own, which other libraries add to these and an export does not."""

from collections.abc import Iterable
from pathlib import Path

from simcse_engine.errors import UnsupportedModelError

from .json_file import read_json

_CONFIG = "adapter_config.json"
# peft's first, then AdapterHub's.
_FILES = (
    *(_CONFIG, "adapter_model.safetensors", "adapter_model.bin"),
    *("adapter.safetensors", "pytorch_adapter.bin", "adapter_fusion_config.json", "head_config.json"),
)
# What names an adapter's tensors in a model's own file.
_TENSORS = (".lora_", ".loras.", ".ia3_", ".adapters.", ".base_layer.")


def refuse_adapters(folder: Path) -> None:
    """Refuse a folder that an adapter lies in, alone or beside a whole model; the error says how to merge it."""
    names = [name for name in _FILES if (folder / name).is_file()]
    if not names:
        return
    stated = read_json(folder / _CONFIG) if _CONFIG in names else {}
    kind, base = stated.get("peft_type"), stated.get("base_model_name_or_path")
    if kind is None and not names[0].startswith("adapter_model"):
        raise UnsupportedModelError(
            f"{folder / names[0]}: an adapter or a head of AdapterHub, which an export leaves out; merge it with its "
            "own library (merge_adapter), save the whole model into another folder, and export that"
        )
    where = ""
    # transformers would apply an adapter that lies beside the base by itself, and peft once more.
    if not isinstance(base, str) or not base or Path(base).resolve() == folder.resolve():
        base, where = "BASE", ", where BASE is the model's folder without the adapter's files"
    merge = f"PeftModel.from_pretrained(AutoModel.from_pretrained({base!r}), {str(folder)!r}).merge_and_unload()"
    raise UnsupportedModelError(
        f"{folder / names[0]}: {f'a {kind}' if kind else 'an'} adapter, which an export leaves out; "
        f"merge it in Python: {merge}.save_pretrained('merged'), then AutoTokenizer.from_pretrained({base!r})"
        f".save_pretrained('merged'), and export 'merged'{where}"
    )


def refuse_adapter_tensors(names: Iterable[str]) -> None:
    """Refuse a model's file that holds tensors of an adapter beside its own, or in their place."""
    for name in names:
        if any(part in name for part in _TENSORS):
            raise UnsupportedModelError(
                f"{name}: a tensor of an adapter, which an export leaves out; merge it (in peft merge_and_unload, in "
                "AdapterHub merge_adapter), save the model again, and export that"
            )
