"""What the library's last two major releases save gets the length and the vectors that they give themselves."""

import json
from pathlib import Path

import numpy as np
import pytest

from simcse_export import ExportOptions, export
from simcse_export.checkpoint.model import read_model
from support.checkpoints import make_checkpoint
from support.child import run_script
from support.environments import overlay
from support.forward import TEXTS, assert_equal

_SHARED = ("scikit-learn==1.7.2", "scipy==1.16.3", "joblib==1.5.2", "threadpoolctl==3.6.0")
RELEASES = {
    # On this environment's transformers 4.
    "5": ("sentence-transformers==5.7.0", *_SHARED),
    "6": (
        *("sentence-transformers==6.2.0", "transformers==5.24.0", "tokenizers==0.23.3", "huggingface-hub==1.31.0"),
        *("httpx==0.28.1", "httpcore==1.0.9", "h11==0.16.0", "anyio==4.12.0", *_SHARED),
    ),
}

# Saves folders, changes some as older releases or people wrote them, and says what the library makes of each.
_SAVE = """
import json, sys
from pathlib import Path
import numpy as np
import torch
from transformers.utils import logging
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

logging.disable_progress_bar()
torch.set_num_threads(1)
bert, roberta, out = map(Path, sys.argv[1:4])
encoded, texts = map(json.loads, sys.argv[4:])


def save(name, base=bert, mode="mean", last=(Normalize(),), length=None, **options):
    modules = [Transformer(str(base), max_seq_length=length), Pooling(32, mode), *last]
    SentenceTransformer(modules=modules, device="cpu", **options).save(str(out / name), create_model_card=False)
    return out / name


def edit(path, **changes):
    path.write_text(json.dumps((json.loads(path.read_text()) if path.is_file() else {}) | changes))


SETTINGS, TOKENIZER = "sentence_bert_config.json", "tokenizer_config.json"
save("mean", length=32)
save("cls", mode="cls", last=())
save("roberta", base=roberta, length=20)
save("truncated", truncate_dim=16)
save("truncated, of any length", last=(), truncate_dim=7, length=30)

older = save("as release 2 wrote it", length=32)
(older / SETTINGS).write_text('{"max_seq_length": 24, "do_lower_case": true}')
(older / "config_sentence_transformers.json").write_text('{"__version__": {"sentence_transformers": "2.2.2"}}')
modes = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}
(older / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": 32, **modes}))
kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
(older / "modules.json").write_text(json.dumps([
    {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
    for i, (path, kind) in enumerate(kinds.items())
]))
cased = save("cased and lowercased", length=31)
edit(cased / TOKENIZER, do_lower_case=False)
content = json.loads((cased / "tokenizer.json").read_text())
content["normalizer"]["lowercase"] = False
edit(cased / "tokenizer.json", **content)
edit(cased / SETTINGS, do_lower_case=True)
edit(save("in the call") / SETTINGS, processing_kwargs={"text": {"max_length": 18}})

save("roberta, as long as its positions", base=roberta)
edit(save("null", length=40) / SETTINGS, max_seq_length=None)
(save("no settings", length=41) / SETTINGS).unlink()
named = save("another name", length=42)
(named / SETTINGS).rename(named / "sentence_xlm-roberta_config.json")
edit(named / "sentence_xlm-roberta_config.json", max_seq_length=21)
(named / SETTINGS).write_text("{}")
edit(save("in loading", length=43) / SETTINGS, tokenizer_args={"model_max_length": 19}, max_seq_length=22)
edit(save("of old transformers") / TOKENIZER, max_len=25, model_max_length=None)
content = json.loads((out / "of old transformers" / TOKENIZER).read_text())
del content["model_max_length"]
(out / "of old transformers" / TOKENIZER).write_text(json.dumps(content))
cut = save("cut in tokenizer.json", length=44)
truncation = {"direction": "Right", "max_length": 10, "strategy": "LongestFirst", "stride": 0}
edit(cut / "tokenizer.json", truncation=truncation)
edit(save("longer than the positions") / TOKENIZER, model_max_length=500)

lengths = {}
for folder in sorted(out.iterdir()):
    model = SentenceTransformer(str(folder), device="cpu")
    lengths[folder.name] = model.max_seq_length
    if folder.name in encoded:
        np.save(out.parent / f"{folder.name}.npy", model.encode(texts, batch_size=1))
print(json.dumps(lengths))
"""

# The folders whose vectors are compared too.
ENCODED = [
    *("mean", "cls", "roberta", "truncated", "truncated, of any length", "as release 2 wrote it"),
    *("cased and lowercased", "in the call"),
]


@pytest.fixture(scope="module", params=RELEASES)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """The saved folders' folder, beside which their vectors lie, and the library's length of each."""
    root = tmp_path_factory.mktemp("saved")
    bases = make_checkpoint(root / "bert"), make_checkpoint(root / "roberta", model_type="roberta")
    (root / "folders").mkdir()
    quiet = {"PYTHONWARNINGS": "ignore", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}
    path = str(overlay(*RELEASES[request.param]))
    arguments = [*bases, root / "folders", json.dumps(ENCODED), json.dumps(TEXTS)]
    lengths = run_script(_SAVE, *arguments, seconds=600, PYTHONPATH=path, **quiet)
    return root / "folders", json.loads(lengths)


def test_every_folder_gets_the_librarys_length(saved: tuple[Path, dict[str, int]]) -> None:
    folders, lengths = saved
    assert lengths == {
        **{"mean": 32, "cls": 64, "roberta": 20, "truncated": 64, "truncated, of any length": 30},
        **{
            "as release 2 wrote it": 24,
            "cased and lowercased": 31,
            "null": 40,
            "no settings": 41,
            "another name": 21,
            "in loading": 19,
        },
        **{"of old transformers": 25, "cut in tokenizer.json": 44, "longer than the positions": 64},
        # On a text of more than 64 tokens the library fails.
        "roberta, as long as its positions": 66,
        # It cuts at 18, whatever it says.
        "in the call": 64,
    }
    expected = {**lengths, "in the call": 18, "roberta, as long as its positions": 64}
    assert {name: read_model(folders / name, ExportOptions()).max_tokens for name in lengths} == expected


@pytest.mark.parametrize("name", ENCODED)
def test_the_vectors_are_the_librarys(saved: tuple[Path, dict[str, int]], name: str, tmp_path: Path) -> None:
    folders, _ = saved
    vectors = np.load(folders.parent / f"{name}.npy")
    normalize = name != "truncated, of any length"
    lines: list[str] = []
    manifest = export(folders / name, tmp_path / "artifact", ExportOptions(normalize=normalize), say=lines.append)
    assert not any("warning" in line for line in lines)
    assert manifest.dimension == vectors.shape[1]
    if normalize:
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert_equal(tmp_path / "artifact", vectors)
