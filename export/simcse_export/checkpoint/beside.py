"""The files that other programs read beside a graph: what the model and its tokenizer are, in transformers' words."""

import json
import tempfile
from pathlib import Path
from typing import Any

from transformers import AddedToken

from simcse_engine.artifact.manifest import CONFIG, SPECIAL_TOKENS, TOKENIZER_CONFIG

from .model import Model

# Keys that say where a file came from on some machine.
_PLACES = ("_name_or_path", "name_or_path", "is_local", "local_files_only")


def write_beside(model: Model, folder: Path) -> None:
    """Write ``config.json``, ``tokenizer_config.json`` and ``special_tokens_map.json`` into ``folder``.

    The tokenizer's are as transformers saves them, but for the length: programs cut texts at ``model_max_length``, so
    it is the artifact's.
    """
    config = {name: value for name, value in model.checkpoint.config.items() if name not in _PLACES}
    _write(folder / CONFIG, config)
    tokenizer = model.reference.tokenizer
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        tokenizer.save_pretrained(temporary)
        settings = json.loads((Path(temporary) / TOKENIZER_CONFIG).read_text(encoding="utf-8"))
    stated = {name: value for name, value in settings.items() if name not in _PLACES}
    _write(folder / TOKENIZER_CONFIG, {**stated, "model_max_length": model.max_tokens})
    # transformers 5 saves no such file, and without their flags programs would add tokens of others.
    flags = {str(token): _flags(token) for token in tokenizer.added_tokens_decoder.values()}
    named = {
        role: [flags.get(str(each), str(each)) for each in token]
        if isinstance(token, list)
        else flags.get(str(token), str(token))
        for role, token in tokenizer.special_tokens_map.items()
    }
    _write(folder / SPECIAL_TOKENS, named)


def _flags(token: AddedToken) -> dict[str, Any]:
    return {name: getattr(token, name) for name in ("content", "lstrip", "normalized", "rstrip", "single_word")}


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
