"""Run beside sentence-transformers: saves folders, and says what the library makes of each.

Usage: python saved_by_library.py BERT ROBERTA FOLDERS VECTORS TEXTS. The first two are checkpoints to save, VECTORS is
a folder for what it encodes TEXTS to, a JSON list. It prints JSON: every folder's length, and the keys of each of the
library's files.
"""

import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules.dense import Dense
from sentence_transformers.base.modules.module import Module
from sentence_transformers.sentence_transformer.modules import Dropout, Normalize, Pooling, Transformer
from sentence_transformers.sentence_transformer.modules.pooling import _LEGACY_POOLING_MODE_KWARGS
from transformers.utils import logging

BERT, ROBERTA, FOLDERS, VECTORS = map(Path, sys.argv[1:5])
SETTINGS, TOKENIZER, CONFIG = "sentence_bert_config.json", "tokenizer_config.json", "config_sentence_transformers.json"


def save(
    name: str,
    base: Path = BERT,
    *,
    mode: str = "mean",
    last: Sequence[Module] = (Normalize(),),
    length: int | None = None,
    truncate_dim: int | None = None,
) -> Path:
    modules = [Transformer(str(base), max_seq_length=length), Pooling(32, mode), *last]
    model = SentenceTransformer(modules=modules, device="cpu", truncate_dim=truncate_dim)
    model.save(str(FOLDERS / name), create_model_card=False)
    return FOLDERS / name


def dense(features_in: int, features_out: int, activation: torch.nn.Module, **settings: bool) -> Dense:
    """A layer whose numbers are random."""
    torch.manual_seed(features_in * features_out)
    return Dense(features_in, features_out, activation_function=activation, **settings)


def edit(path: Path, *, without: str = "", **changes: object) -> None:
    content = (json.loads(path.read_text()) if path.is_file() else {}) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if key != without}))


def save_all() -> None:
    save("mean", length=32)
    save("cls", mode="cls", last=[])
    save("roberta", ROBERTA, length=20)
    save("roberta, as long as its positions", ROBERTA)
    save("truncated", truncate_dim=16)
    for mode in ("max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"):
        save(mode, mode=mode, last=[])
    save("as LaBSE", mode="cls", last=[dense(32, 32, torch.nn.Tanh()), Normalize()])
    save("as distiluse", last=[dense(32, 24, torch.nn.Tanh())])
    several = [
        Normalize(),
        Dropout(0.1),
        dense(32, 40, torch.nn.GELU()),
        dense(40, 12, torch.nn.Identity(), bias=False),
    ]
    save("several dense layers", last=several, truncate_dim=9)
    save("truncated, of any length", last=[], truncate_dim=7, length=30)


def save_and_edit() -> None:
    """As older releases wrote folders, or as people change them."""
    old = save("as release 2 wrote it", length=32)
    (old / SETTINGS).write_text('{"max_seq_length": 24, "do_lower_case": true}')
    (old / CONFIG).write_text('{"__version__": {"sentence_transformers": "2.2.2"}}')
    modes = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}
    (old / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": 32, **modes}))
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds.items())
    ]
    (old / "modules.json").write_text(json.dumps(modules))

    cased = save("cased and lowercased", length=31)
    edit(cased / TOKENIZER, do_lower_case=False)
    normalizer = json.loads((cased / "tokenizer.json").read_text())["normalizer"]
    edit(cased / "tokenizer.json", normalizer=normalizer | {"lowercase": False})
    edit(cased / SETTINGS, do_lower_case=True)

    truncation = {"direction": "Right", "max_length": 10, "strategy": "LongestFirst", "stride": 0}
    edit(save("cut in tokenizer.json", length=44) / "tokenizer.json", truncation=truncation)
    edit(save("of old transformers") / TOKENIZER, without="model_max_length", max_len=25)
    edit(save("longer than the positions") / TOKENIZER, model_max_length=500)
    edit(save("in the call") / SETTINGS, processing_kwargs={"text": {"max_length": 18}})
    edit(save("in loading") / SETTINGS, tokenizer_args={"model_max_length": 19}, max_seq_length=22)
    edit(save("null", length=40) / SETTINGS, max_seq_length=None)
    (save("no settings", length=41) / SETTINGS).unlink()
    named = save("another name", length=42)
    (named / SETTINGS).rename(named / "sentence_xlm-roberta_config.json")
    edit(named / "sentence_xlm-roberta_config.json", max_seq_length=21)
    (named / SETTINGS).write_text("{}")


def lengths(texts: Sequence[str]) -> dict[str, int]:
    """Every folder's length; encodes the texts where they are not too long for the model itself."""
    found = {}
    for folder in sorted(FOLDERS.iterdir()):
        model = SentenceTransformer(str(folder), device="cpu")
        found[folder.name] = model.max_seq_length
        if model.max_seq_length <= 64:
            np.save(VECTORS / f"{folder.name}.npy", model.encode(texts, batch_size=1))
    return found


def keys() -> dict[str, list[str]]:
    """What the library writes into its files, or takes from them."""
    taken = {*inspect.signature(Transformer.__init__).parameters} - {"self", "model_name_or_path", "backend"}
    modules = json.loads((FOLDERS / "mean/modules.json").read_text())
    return {
        "modules": [key for module in modules for key in module],
        "config": [*json.loads((FOLDERS / "truncated" / CONFIG).read_text())],
        "Transformer": [*Transformer.config_keys, *taken],
        "Pooling": [*Pooling.config_keys, *Pooling.config_key_renames, *_LEGACY_POOLING_MODE_KWARGS],
        "Normalize": [*Normalize.config_keys],
        "Dropout": [*Dropout.config_keys],
        "Dense": [*Dense.config_keys],
    }


logging.disable_progress_bar()
torch.set_num_threads(1)
save_all()
save_and_edit()
print(json.dumps({"lengths": lengths(json.loads(sys.argv[5])), "keys": keys()}))
