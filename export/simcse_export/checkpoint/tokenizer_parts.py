"""A tokenizer's parts, the same whichever transformers loaded it: those of ``tokenizer.json``.

transformers 4 takes them from there, and overrides a few of their settings by those of ``tokenizer_config.json``.
transformers 5 builds the parts that are usual for the tokenizer's class, and leaves out what else the file says.
"""

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from .json_file import read_json

_PARTS = ("normalizer", "pre_tokenizer", "model", "post_processor", "decoder")

# Settings of parts that transformers 4 overrides: the part, its kinds, the setting, and the argument of the tokenizer's
# class for it, with transformers 4's default. 5.0 has another for do_lower_case.
_OVERRIDDEN = (
    ("normalizer", ("BertNormalizer",), "lowercase", "do_lower_case", True),
    ("normalizer", ("BertNormalizer",), "strip_accents", "strip_accents", None),
    ("normalizer", ("BertNormalizer",), "handle_chinese_chars", "tokenize_chinese_chars", True),
    ("pre_tokenizer", ("ByteLevel",), "add_prefix_space", "add_prefix_space", False),
    ("post_processor", ("ByteLevel", "RobertaProcessing"), "add_prefix_space", "add_prefix_space", False),
    ("post_processor", ("ByteLevel", "RobertaProcessing"), "trim_offsets", "trim_offsets", True),
)


def restore_parts(tokenizer: PreTrainedTokenizerFast, folder: Path, stated: Mapping[str, Any]) -> None:
    """Give a tokenizer that transformers 5 loaded from ``folder`` the parts that it has in transformers 4.

    ``stated`` is its ``tokenizer_config.json``.
    """
    built = json.loads(tokenizer.backend_tokenizer.to_str())
    path = folder / "tokenizer.json"
    parts = _parts(read_json(path)) if path.is_file() else _parts(built) | dict(_converted(tokenizer, built))
    classes = type(tokenizer).__mro__
    takes = {argument for each in classes for argument in inspect.signature(each.__init__).parameters}
    for name, kinds, setting, argument, default in _OVERRIDDEN:
        part = parts[name]
        if argument in takes and isinstance(part, dict) and part.get("type") in kinds:
            parts[name] = part | {setting: stated.get(argument, default)}
    if not parts.items() <= built.items():
        tokenizer._tokenizer = type(tokenizer.backend_tokenizer).from_str(json.dumps(built | parts))


def _parts(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: content.get(name) for name in _PARTS}


def _converted(tokenizer: PreTrainedTokenizerFast, built: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What transformers 4 makes of the vocabulary's files alone, where that differs."""
    kind = type(tokenizer).__name__
    if kind == "RobertaTokenizer":
        # Its mask swallows the space before it. There is no normalizer, so that nothing heeds "normalized".
        masks = [token["content"] == tokenizer.mask_token for token in built["added_tokens"]]
        tokens = zip(built["added_tokens"], masks, strict=True)
        yield "added_tokens", [token | {"lstrip": mask, "normalized": not mask} for token, mask in tokens]
    elif kind == "MPNetTokenizer":
        # The same special tokens, otherwise written down.
        first, last = (tokenizer.cls_token, tokenizer.cls_token_id), (tokenizer.sep_token, tokenizer.sep_token_id)
        (begin, _), (end, _) = first, last
        single = [_special(begin, 0), _sequence("A", 0), _special(end, 0)]
        yield (
            "post_processor",
            {
                "type": "TemplateProcessing",
                "single": single,
                "pair": [*single, _special(end, 0), _sequence("B", 1), _special(end, 1)],
                "special_tokens": {name: {"id": name, "ids": [i], "tokens": [name]} for name, i in (first, last)},
            },
        )


def _special(token: str, kind: int) -> dict[str, Any]:
    return {"SpecialToken": {"id": token, "type_id": kind}}


def _sequence(name: str, kind: int) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": kind}}
