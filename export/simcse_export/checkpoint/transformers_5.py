"""What transformers 5 writes under names of its own, in the words of transformers 4, where an export runs that.

transformers 4 passes over what it does not know, and its default in that place gives other vectors. transformers 5
knows its own names and those of 4.
"""

from collections.abc import Mapping
from typing import Any

import transformers

from simcse_engine.errors import UnsupportedModelError

# Whether transformers 4 is installed, and not 5.
IS_4 = int(transformers.__version__.split(".")[0]) == 4

# The class of fast tokenizers without one of their own: transformers 4's PreTrainedTokenizerFast.
GENERIC_TOKENIZER = "TokenizersBackend"


def tokenizer_settings(stated: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of ``tokenizer_config.json`` that have other names in transformers 4; none under transformers 5."""
    if not IS_4:
        return {}
    extra = stated.get("extra_special_tokens")
    return {"additional_special_tokens": extra, "extra_special_tokens": {}} if isinstance(extra, list) else {}


def model_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of ``config.json`` that have other names in transformers 4; refused if they have none there.

    There are none under transformers 5.
    """
    if not IS_4:
        return {}
    model_type = config["model_type"]
    if model_type in ("flaubert", "xlm") and "pad_token_id" in config:
        return {"pad_index": config["pad_token_id"]}
    if model_type == "modernbert":
        return _layers_of_modernbert(config) | _rotations_of_modernbert(config)
    if config.get("rope_parameters") is not None:
        raise _refusal(config, "rope_parameters")
    return {}


def _layers_of_modernbert(config: Mapping[str, Any]) -> dict[str, int]:
    types = config.get("layer_types")
    if types is None:
        return {}
    # Each layer of a multiple of this number attends to the whole text, the others to a window.
    for every in range(1, len(types) + 1) if isinstance(types, list) else ():
        if types == ["sliding_attention" if i % every else "full_attention" for i in range(len(types))]:
            return {"global_attn_every_n_layers": every}
    raise _refusal(config, "layer_types")


def _rotations_of_modernbert(config: Mapping[str, Any]) -> dict[str, float]:
    stated = config.get("rope_parameters")
    if stated is None:
        return {}
    match stated:
        case {
            "full_attention": {"rope_type": "default", "rope_theta": everywhere},
            "sliding_attention": {"rope_type": "default", "rope_theta": nearby},
        }:
            return {"global_rope_theta": everywhere, "local_rope_theta": nearby}
    raise _refusal(config, "rope_parameters")


def _refusal(config: Mapping[str, Any], name: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"model type {config['model_type']}: config.json states {name} {config[name]!r}, as transformers 5 does, which "
        "transformers 4 cannot compute"
    )
