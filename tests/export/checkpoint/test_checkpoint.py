"""A checkpoint's small files are read as they say, and what they leave out or contradict is refused."""

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub.utils import filter_repo_objects
from transformers import AutoTokenizer

from simcse_engine.artifact.kinds import POOLERS
from simcse_engine.artifact.manifest import Manifest
from simcse_engine.errors import CheckpointError, PoolerError, UnsupportedModelError
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.checkpoint import _HUB_FILES, choose_pooler, open_checkpoint
from support.checkpoints import edit_json, make_checkpoint, make_sentence_transformers, write_json
from support.forward import TEXTS, assert_equal, forward

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "checkpoint")


def test_a_plain_checkpoint(bert: Path) -> None:
    files = open_checkpoint(bert)
    assert (files.folder, files.id, files.revision) == (bert, "checkpoint", None)
    assert (files.stated, files.positions) == (None, 64)


def test_a_file_and_nothing_at_all(bert: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a file; name its folder"):
        open_checkpoint(bert / "config.json")
    with pytest.raises(CheckpointError, match="no such folder"):
        open_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"config\.json: missing"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '"bert"', "[" * 100_000, "\xff\xfe"])
def test_a_broken_config(bert: Path, content: str) -> None:
    (bert / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"config\.json: (cannot be read as JSON|expected a JSON dict)"):
        open_checkpoint(bert)


def test_a_folder_for_the_config(bert: Path) -> None:
    (bert / "config.json").unlink()
    (bert / "config.json").mkdir()
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read"):
        open_checkpoint(bert)


@pytest.mark.parametrize("model_type", [None, 3, ["bert"]])
def test_a_config_without_a_model_type(bert: Path, model_type: object) -> None:
    edit_json(bert / "config.json", model_type=model_type)
    with pytest.raises(CheckpointError, match="has no model_type"):
        open_checkpoint(bert)


@pytest.mark.parametrize("key", ["vocab_size", "hidden_size", "num_hidden_layers", "max_position_embeddings"])
def test_a_config_that_lacks_a_number(bert: Path, key: str) -> None:
    edit_json(bert / "config.json", **{key: None})
    # transformers fills in its default, which does not fit these weights; otherwise the graph's writer misses it.
    with pytest.raises(CheckpointError, match=f"lacks '{key}'|cannot load|lack"):
        export(bert, bert.parent / "artifact", ExportOptions(pooler="avg"))


@pytest.mark.parametrize("value", ["three", "3", 2.5, -1])
def test_a_number_that_is_none(bert: Path, value: object) -> None:
    edit_json(bert / "config.json", num_hidden_layers=value)
    with pytest.raises(CheckpointError):
        export(bert, bert.parent / "artifact", ExportOptions(pooler="avg"))


@pytest.mark.parametrize("model_type", ["bert", "electra"])
@pytest.mark.parametrize("method", ["bitsandbytes", "gptq", "awq", "fp8"])
def test_quantized_weights_are_refused(tmp_path: Path, model_type: str, method: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type=model_type)
    edit_json(checkpoint / "config.json", quantization_config={"quant_method": method, "bits": 4})
    with pytest.raises(UnsupportedModelError, match=r"as quantization_config .*, with precision='int8' for") as caught:
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="avg"))
    assert "with --precision int8 for" in caught.value.on_command_line()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"num_attention_heads": 5}, "hidden_size is 32, no multiple of num_attention_heads 5"),
        ({"num_attention_heads": 10**30}, "no multiple of num_attention_heads"),
        ({"num_hidden_layers": 10**9}, "the weights lack layers: config.json says 1000000000, and they are 55 tensors"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"vocab_size": 0}, "vocab_size is 0"),
        ({"vocab_size": 178}, r"embeddings.weight has shape \(179, 32\), the config says \(178, 32\)"),
        pytest.param(
            {"attention_probs_dropout_prob": math.nan}, "transformers cannot run it", marks=pytest.mark.transformers_4
        ),
        ({"pad_token_id": True}, "transformers cannot (run it|load its tokenizer)"),
    ],
)
def test_numbers_that_make_no_model(bert: Path, change: dict[str, object], says: str) -> None:
    edit_json(bert / "config.json", **change)
    with pytest.raises(CheckpointError, match=says):
        export(bert, bert.parent / "artifact", ExportOptions(pooler="avg"))


def test_a_config_whose_positions_have_no_base(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path, model_type="roberta")
    content = json.loads((checkpoint / "config.json").read_text())
    write_json(checkpoint / "config.json", content | {"pad_token_id": None})
    with pytest.raises(CheckpointError, match="pad_token_id is None"):
        open_checkpoint(checkpoint)


@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_a_tokenizer_of_vocabulary_files_alone(tmp_path: Path, model_type: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type=model_type, tokenizer="vocab")
    names = {path.name for path in checkpoint.iterdir()} - {"config.json", "model.safetensors"}
    assert names == ({"vocab.txt"} if model_type == "bert" else {"vocab.json", "merges.txt"})
    export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls"))
    # Without a tokenizer.json, transformers 5 forgets that RoBERTa's mask swallows the space before it.
    texts = [text for text in TEXTS if " <mask>" not in text]
    assert_equal(tmp_path / "artifact", forward(checkpoint, "cls", texts), texts)


def test_padding_and_truncation_in_the_tokenizers_file_are_not_taken_along(bert: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(bert)
    expected = forward(bert, "avg")
    tokenizer.backend_tokenizer.enable_truncation(5)
    tokenizer.backend_tokenizer.enable_padding(length=40)
    tokenizer.backend_tokenizer.save(str(bert / "tokenizer.json"))
    export(bert, tmp_path / "artifact", ExportOptions(pooler="avg"))
    saved = json.loads((tmp_path / "artifact/tokenizer.json").read_text())
    assert saved["padding"] is saved["truncation"] is None
    assert_equal(tmp_path / "artifact", expected)


def test_no_tokenizer(bert: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt"):
        (bert / name).unlink()
    with pytest.raises(CheckpointError, match="tokenizer"):
        export(bert, bert.parent / "artifact", ExportOptions(pooler="avg"))


def test_a_broken_tokenizer(bert: Path) -> None:
    (bert / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="cannot load its tokenizer"):
        export(bert, bert.parent / "artifact", ExportOptions(pooler="avg"))


def test_a_tokenizer_with_more_ids_than_embeddings(bert: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(bert)
    highest = len(tokenizer)
    tokenizer.add_tokens(["brandnew"])
    tokenizer.save_pretrained(bert)
    with pytest.raises(CheckpointError, match=f"ids up to {highest}, the model has embeddings for {highest}"):
        export(bert, bert.parent / "artifact", ExportOptions(pooler="avg"))


def test_no_pooler_stated_names_all(bert: Path) -> None:
    with pytest.raises(PoolerError, match=f"pass pooler=…, one of {', '.join(POOLERS)}"):
        export(bert, bert.parent / "artifact")
    assert not (bert.parent / "artifact").exists()


def test_cls_without_a_head(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", head=False)
    with pytest.raises(PoolerError, match=r"pooler cls needs the trained head.*none.*cls_before_pooler"):
        export(checkpoint, tmp_path / "artifact", ExportOptions(pooler="cls"))
    with pytest.raises(PoolerError, match="it has no weights for cls"):
        export(checkpoint, tmp_path / "artifact")


def test_an_unknown_pooler(bert: Path) -> None:
    with pytest.raises(PoolerError, match="'mean' is unknown; choose one of cls"):
        choose_pooler(open_checkpoint(bert), "mean", has_head=True)


def cache(home: Path, checkpoint: Path, repository: str, revision: str = SHA) -> Path:
    """Put a checkpoint into a hub cache below ``home``, as huggingface_hub lays it out: links into blobs."""
    root = home / "hub" / f"models--{repository.replace('/', '--')}"
    snapshot = root / "snapshots" / revision
    for folder in (root / "refs", root / "blobs", snapshot):
        folder.mkdir(parents=True, exist_ok=True)
    (root / "refs/main").write_text(revision)
    for path in sorted(path for path in checkpoint.rglob("*") if path.is_file()):
        blob = root / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
        shutil.copy(path, blob)
        link = snapshot / path.relative_to(checkpoint)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return home


def offline(home: Path, cwd: Path, *arguments: str) -> str:
    """What Python prints, run in a process of its own: huggingface_hub reads the environment when it is imported."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGINGFACE"))}
    environment |= {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_hub_id_is_read_from_the_cache(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    home = cache(tmp_path / "home", checkpoint, "someone/simcse-tiny")
    arguments = ["someone/simcse-tiny", "-o", "artifact", "--pooler", "cls"]
    offline(home, tmp_path, "-m", "simcse_export.cli", *arguments)
    manifest = Manifest.read(tmp_path / "artifact")
    assert (manifest.source.id, manifest.source.revision) == ("someone/simcse-tiny", SHA)
    assert not any(path.is_symlink() for path in (tmp_path / "artifact").iterdir())
    assert_equal(tmp_path / "artifact", forward(checkpoint, "cls"))
    local = export(checkpoint, tmp_path / "local", ExportOptions(pooler="cls"))
    assert local.source.revision is None
    assert local.identity == manifest.identity


_OPEN = """
import json, sys
from simcse_engine.errors import CheckpointError
from simcse_export.checkpoint.checkpoint import open_checkpoint
results = []
for where, revision in json.loads(sys.argv[1]):
    try:
        opened = open_checkpoint(where, revision)
        results.append([str(opened.folder), opened.id, opened.revision, opened.config["hidden_size"]])
    except CheckpointError as error:
        results.append(str(error))
print(json.dumps(results))
"""


def test_revisions_of_a_hub_id(tmp_path: Path) -> None:
    newer, name = "f" * 40, "someone/simcse-tiny"
    home = cache(tmp_path / "home", make_checkpoint(tmp_path / "small", hidden_size=16), name)
    cache(home, make_checkpoint(tmp_path / "large", hidden_size=48), name, newer)
    sources = [(name, None), (name, SHA), (f"{name}@{SHA}", None), (f"{name}@main", None), (name, "a" * 40)]
    sources.append(("someone/unknown", None))
    *opened, no_revision, unknown = json.loads(offline(home, tmp_path, "-c", _OPEN, json.dumps(sources)))
    snapshots = home / "hub/models--someone--simcse-tiny/snapshots"
    old, new = [str(snapshots / SHA), name, SHA, 16], [str(snapshots / newer), name, newer, 48]
    assert opened == [new, old, old, new]
    assert no_revision.startswith(f"{name}: no such folder here; taken as a hub id, the hub cannot be reached")
    assert "a" * 40 in no_revision
    assert unknown.startswith("someone/unknown: no such folder here; taken as a hub id, the hub cannot be reached")


def test_a_sentence_transformers_hub_id(tmp_path: Path) -> None:
    folder = make_sentence_transformers(tmp_path / "checkpoint", transformer="0_Transformer")
    home = cache(tmp_path / "home", folder, "someone/else")
    (opened,) = json.loads(offline(home, tmp_path, "-c", _OPEN, json.dumps([("someone/else", None)])))
    # The transformer lies in a folder of the snapshot; the revision is the snapshot's.
    assert Path(opened[0]).name == "0_Transformer"
    assert opened[1:] == ["someone/else", SHA, 32]


def test_a_path_that_does_not_exist_is_never_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    for where in ("./nowhere", "checkpoints/nowhere", str(tmp_path / "no/where"), "~/no/where", "a/b/c", "nowhere"):
        with pytest.raises(CheckpointError, match=r": no such folder$"):
            open_checkpoint(where)
    with pytest.raises(CheckpointError, match=r": no such folder$"):
        open_checkpoint(Path("user/name"))


def test_a_revision_goes_with_a_hub_id(bert: Path) -> None:
    with pytest.raises(CheckpointError, match="a revision goes with a hub id"):
        open_checkpoint(bert, "main")


def test_what_is_fetched_of_a_hub_repository() -> None:
    fetched = [
        *("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt"),
        *("model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json"),
        *("pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"),
        *("modules.json", "1_Pooling/config.json", "0_Transformer/config.json", "0_Transformer/pytorch_model.bin"),
        *("0_Transformer/model.safetensors", "0_Transformer/vocab.txt", "sentencepiece.bpe.model"),
    ]
    left_out = ["tf_model.h5", "flax_model.msgpack", "rust_model.ot", "onnx/model.onnx", "training_args.bin", "x.py"]
    assert list(filter_repo_objects([*fetched, *left_out], allow_patterns=_HUB_FILES)) == fetched
