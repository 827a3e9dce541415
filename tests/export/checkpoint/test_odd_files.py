"""Whatever stands in a checkpoint's files, an export succeeds or refuses it: nothing else is raised."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from simcse_engine.errors import ExportError
from simcse_export import ExportOptions, export
from support.checkpoints import make_checkpoint, write_json

VALUES = [None, "x", -1, 0, 2.5, 10**30, [], {}, True]
HEADER = "model.safetensors"

# The file, and the way to what is replaced in it.
PLACES = [
    *(("config.json", (key,)) for key in ("hidden_size", "num_attention_heads", "vocab_size", "pad_token_id")),
    *(("config.json", (key,)) for key in ("layer_norm_eps", "hidden_act", "type_vocab_size", "hidden_dropout_prob")),
    *(("tokenizer.json", (key,)) for key in ("model", "added_tokens", "normalizer", "post_processor")),
    *(("tokenizer.json", ("model", key)) for key in ("vocab", "unk_token", "max_input_chars_per_word")),
    *(("tokenizer.json", ("post_processor", "special_tokens", "[CLS]", key)) for key in ("id", "ids")),
    *(("tokenizer.json", ("added_tokens", 2, key)) for key in ("id", "content")),
    *(("tokenizer_config.json", (key,)) for key in ("tokenizer_class", "unk_token", "added_tokens_decoder")),
    *(("tokenizer_config.json", (key,)) for key in ("model_max_length", "extra_special_tokens", "model_input_names")),
    *((HEADER, ("embeddings.word_embeddings.weight", key)) for key in ("dtype", "shape", "data_offsets")),
]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("odd") / "checkpoint", num_hidden_layers=1)


def replace(content: Any, place: tuple[str | int, ...], value: object) -> Any:
    *way, last = place
    node = content
    for key in way:
        node = node[key]
    node[last] = value
    return content


@pytest.mark.parametrize(("file", "place"), PLACES, ids=lambda part: str(part))
def test_a_value_of_another_kind(bert: Path, tmp_path: Path, file: str, place: tuple[str | int, ...]) -> None:
    path = bert / file
    before = path.read_bytes()
    try:
        for value in VALUES:
            if file == HEADER:
                size = int.from_bytes(before[:8], "little")
                header = json.dumps(replace(json.loads(before[8 : 8 + size]), place, value)).encode()
                path.write_bytes(len(header).to_bytes(8, "little") + header + before[8 + size :])
            else:
                write_json(path, replace(json.loads(before), place, value))
            with contextlib.suppress(ExportError):
                export(bert, tmp_path / "artifact", ExportOptions(pooler="cls", max_tokens=8, force=True))
    finally:
        path.write_bytes(before)
