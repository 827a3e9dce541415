"""A checkpoint's tokenizer, as transformers loads it: a fast one, whose ``tokenizer.json`` the engine reads too."""

import importlib.util
import json
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from simcse_engine.errors import CheckpointError
from simcse_engine.session.library import first_line

from .checkpoint import Checkpoint
from .json_file import read_json
from .length import Length
from .quiet import quiet
from .tokenizer_parts import restore_parts
from .transformers_5 import GENERIC_TOKENIZER, IS_4, tokenizer_settings

_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json")


def load_tokenizer(checkpoint: Checkpoint) -> PreTrainedTokenizerFast:
    """Load the fast tokenizer: ``tokenizer.json``, or built from ``vocab.txt`` or ``vocab.json`` + ``merges.txt``."""
    folder = checkpoint.folder
    if not any((folder / name).is_file() for name in _TOKENIZERS) and not any(folder.glob("*.model")):
        raise CheckpointError(f"{folder}: no tokenizer; expected tokenizer.json, vocab.txt or vocab.json + merges.txt")
    path = folder / "tokenizer_config.json"
    stated = read_json(path) if path.exists() else {}
    generic = stated.get("tokenizer_class") == GENERIC_TOKENIZER
    if generic and not (folder / "tokenizer.json").is_file():
        raise CheckpointError(f"{path}: tokenizer_class is {GENERIC_TOKENIZER}, and no tokenizer.json lies beside it")
    # transformers compares lengths with anything that the file holds.
    Length.stated(stated.get("model_max_length"), "model_max_length", path)
    try:
        with quiet():
            tokenizer = (PreTrainedTokenizerFast if generic else AutoTokenizer).from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, **tokenizer_settings(stated)
            )
            if not IS_4 and isinstance(tokenizer, PreTrainedTokenizerFast):
                restore_parts(tokenizer, folder, stated)
            # Some faults show with a text's special tokens, or its unknown words.
            empty, _ = (tokenizer(text)["input_ids"] for text in ("", "\U0010ffff"))
    except BaseException as error:  # whatever transformers' parsers raise; a panic of tokenizers is no Exception
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise CheckpointError(_not_loaded(folder, error)) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise CheckpointError(f"{folder}: {type(tokenizer).__name__} has no fast version, which the engine needs")
    for setting, supported in (("truncation_side", "right"), ("split_special_tokens", False)):
        value = getattr(tokenizer, setting, supported)
        if value != supported:
            raise CheckpointError(f"{path}: {setting} is {value!r}; the engine supports {supported!r}")
    if not empty:
        raise CheckpointError(f"{folder}: the tokenizer adds no special tokens; an empty text would have no token")
    if checkpoint.stated is not None and checkpoint.stated.lowercase:
        _lowercase(tokenizer)
    return tokenizer


def _lowercase(tokenizer: PreTrainedTokenizerFast) -> None:
    """Lowercase texts before all else, as sentence-transformers does; a tokenizer that keeps no case stays as it is."""
    backend = tokenizer.backend_tokenizer
    if backend.encode("A").ids != backend.encode("a").ids:
        content = json.loads(backend.to_str())
        others = [content["normalizer"]] if content["normalizer"] else []
        content["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, *others]}
        tokenizer._tokenizer = type(backend).from_str(json.dumps(content))


def _not_loaded(folder: Path, error: BaseException) -> str:
    models = sorted(path.name for path in folder.glob("*.model"))
    if models and not any((folder / name).is_file() for name in _TOKENIZERS):
        # transformers speaks of what failed in its place.
        if importlib.util.find_spec("sentencepiece") is None:
            return (
                f"{folder}: its tokenizer is a SentencePiece model, {models[0]}, and no tokenizer.json lies beside it; "
                "to read it, pip install sentencepiece"
            )
        return f"{folder / models[0]}: cannot be read as a SentencePiece model; is the download complete?"
    return f"{folder}: transformers cannot load its tokenizer ({first_line(error)})"
