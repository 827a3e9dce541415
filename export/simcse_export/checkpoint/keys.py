"""Every key of the files that sentence-transformers 5 and 6 write into a folder, and what an export makes of it.

What counts is `SentenceTransformer(folder).encode(texts)`. Older names of keys are listed too. The tokenizer's and the
model's own files are not: transformers reads them, and every artifact is compared with its model.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcse_engine.errors import CheckpointError, UnsupportedModelError

from .json_file import shown


@dataclass(frozen=True)
class Only:
    """A key that is refused with any value but these."""

    values: Collection[Any]
    why: str


@dataclass(frozen=True)
class NotApplied:
    """A key that no artifact heeds: any value but these is worth a warning."""

    values: Collection[Any]
    why: str


# A mapping is the table of an object's own keys.
Rule = str | Only | NotApplied | Mapping[str, "Rule"]

HONOURED = "honoured"  # in `sentence_transformers`
HARMLESS = "harmless"  # changes no vector

_QUERIES = NotApplied((None,), "an artifact's encode_query and encode_document do not heed it")
_SENTENCES = Only(("sentence_embedding",), "only sentence embeddings can be normalized")
_DENSE = Only((None, "sentence_embedding"), "only sentence embeddings can go through a dense layer")
_TOKENIZER = {"model_max_length": HONOURED, "trust_remote_code": HARMLESS, "use_fast": HARMLESS}
_MODEL = {
    "add_pooling_layer": HARMLESS,
    "attn_implementation": HARMLESS,
    "dtype": HARMLESS,  # artifacts have a precision of their own
    "torch_dtype": HARMLESS,
    "trust_remote_code": HARMLESS,  # the library drops it
    "use_safetensors": HARMLESS,
}
_CALL = {
    "add_special_tokens": Only((True,), "texts without special tokens cannot be exported"),
    "max_length": HONOURED,
    "pad_to_multiple_of": HARMLESS,
    "padding": HARMLESS,
    "return_tensors": HARMLESS,
    "truncation": Only((True, "longest_first", "only_first"), "texts are always cut at their end"),
}

MODULES: Mapping[str, Rule] = {
    "idx": HARMLESS,  # the order is the list's
    "kwargs": HARMLESS,  # names of encode's further arguments
    "name": HARMLESS,
    "path": HONOURED,
    "type": HONOURED,
}

CONFIG: Mapping[str, Rule] = {
    "__version__": HARMLESS,
    "default_prompt_name": HONOURED,
    "model_type": Only(("SentenceTransformer",), "only a SentenceTransformer gives each text one vector"),
    "prompts": HONOURED,
    "requirements": HARMLESS,  # versions of Python packages
    "similarity_fn_name": NotApplied((None, "cosine"), "vectors are compared by cosine here"),
    "truncate_dim": HONOURED,
}

TRANSFORMER: Mapping[str, Rule] = {
    "cache_dir": HARMLESS,
    "config_args": {"trust_remote_code": HARMLESS},
    "config_kwargs": {"trust_remote_code": HARMLESS},
    "do_lower_case": HONOURED,
    "document_length": _QUERIES,
    "max_seq_length": HONOURED,
    "modality_config": {
        "audio": HARMLESS,
        "image": HARMLESS,
        "message": Only((), "texts in a chat template cannot be exported"),
        "text": {
            "method": Only(("forward",), "only the method forward can be exported"),
            "method_output_name": Only(
                ("last_hidden_state", ["last_hidden_state"]), "only last_hidden_state can be exported"
            ),
        },
        "video": HARMLESS,
    },
    "model_args": _MODEL,
    "model_kwargs": _MODEL,
    "module_output_name": Only(("token_embeddings",), "only token embeddings can be pooled"),
    "processing_kwargs": {
        "audio": HARMLESS,
        "chat_template": HARMLESS,
        "common": _CALL,
        "image": HARMLESS,
        "text": _CALL,
        "video": HARMLESS,
    },
    "processor_kwargs": _TOKENIZER,
    "query_expansion": _QUERIES,
    "query_length": _QUERIES,
    "tokenizer_args": _TOKENIZER,
    "tokenizer_name_or_path": Only((None,), "only a tokenizer beside the weights can be exported"),
    "transformer_task": Only(("feature-extraction",), "only feature-extraction can be exported"),
    "unpad_inputs": HARMLESS,  # how a batch is laid out
}

POOLING: Mapping[str, Rule] = {
    "embedding_dimension": HARMLESS,
    "include_prompt": HONOURED,
    "pooling_mode": HONOURED,
    "pooling_mode_cls_token": HONOURED,
    "pooling_mode_lasttoken": HONOURED,
    "pooling_mode_max_tokens": HONOURED,
    "pooling_mode_mean_sqrt_len_tokens": HONOURED,
    "pooling_mode_mean_tokens": HONOURED,
    "pooling_mode_weightedmean_tokens": HONOURED,
    "word_embedding_dimension": HARMLESS,
}

# The modules that may follow Transformer and Pooling, in `modules`.
LAST: Mapping[str, Mapping[str, Rule]] = {
    "Normalize": {"module_input_name": _SENTENCES, "module_output_name": _SENTENCES},
    "Dropout": {"dropout": HARMLESS},  # it drops in training alone
    "Dense": {
        "activation_function": HONOURED,
        "bias": HONOURED,
        "in_features": HONOURED,
        "module_input_name": _DENSE,
        "module_output_name": _DENSE,
        "out_features": HONOURED,
        "use_residual": Only((False,), "a sum with what goes into the layer cannot be exported"),
    },
}


def check_keys(where: str | Path, content: Mapping[str, Any], rules: Mapping[str, Rule]) -> list[str]:
    """Refuse what the rules refuse; warnings about the rest, each naming ``where`` and the key."""
    warnings = []
    for key, value in content.items():
        rule = rules.get(key)
        found = f"{where}: {key} is {shown(value)}"
        if rule is None:
            warnings.append(f"{where}: the key {shown(key)} is unknown, and no artifact heeds it")
        elif isinstance(rule, Only) and value not in rule.values:
            raise UnsupportedModelError(f"{found}; {rule.why}")
        elif isinstance(rule, NotApplied) and value not in rule.values:
            warnings.append(f"{found}; {rule.why}")
        elif isinstance(rule, Mapping) and value is not None:
            if not isinstance(value, Mapping):
                raise CheckpointError(f"{found}; expected a JSON object")
            warnings += check_keys(f"{where}: {key}", value, rule)
    return warnings
