"""Tokenizers are read whatever their files, and what stands in the way is named."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simcse_engine.errors import CheckpointError, UnsupportedModelError
from simcse_export import ExportOptions, export
from simcse_export.checkpoint.checkpoint import open_checkpoint
from simcse_export.checkpoint.tokenizer import load_tokenizer
from support.checkpoints import CORPUS, edit_json, make_checkpoint, write_json
from support.child import run_script
from support.environments import overlay
from support.forward import assert_equal, forward

ROOT = Path(__file__).resolve().parents[3]
AVG = ExportOptions(pooler="avg", max_tokens=64)


@pytest.mark.parametrize(
    ("model_type", "tokenizer_class"),
    [
        ("distilbert", "BertTokenizer"),
        pytest.param("modernbert", "PreTrainedTokenizerFast", marks=pytest.mark.transformers_4),
    ],
)
def test_token_types_are_kept_from_a_model_that_takes_none(
    tmp_path: Path, model_type: str, tokenizer_class: str
) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type=model_type)
    edit_json(checkpoint / "tokenizer_config.json", tokenizer_class=tokenizer_class, model_input_names=None)
    assert "token_type_ids" in load_tokenizer(open_checkpoint(checkpoint))("a cat")
    export(checkpoint, tmp_path / "artifact", AVG)
    assert_equal(tmp_path / "artifact", forward(checkpoint, "avg"), within=5e-6)


def test_other_token_types_than_0_are_refused(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    content = json.loads((checkpoint / "tokenizer.json").read_text())
    content["post_processor"]["single"][1]["Sequence"]["type_id"] = 1
    write_json(checkpoint / "tokenizer.json", content)
    with pytest.raises(UnsupportedModelError, match="gives tokens another type than 0, which no artifact does"):
        export(checkpoint, tmp_path / "artifact", AVG)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: content["post_processor"]["special_tokens"].pop("[CLS]"), "no entry found for key"),
        (lambda content: content["model"]["vocab"].pop("[UNK]"), r"Missing \[UNK\] token"),
    ],
    ids=["special", "unknown"],
)
def test_a_token_that_is_not_there(tmp_path: Path, change: Callable[[dict[str, Any]], object], says: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    content = json.loads((checkpoint / "tokenizer.json").read_text())
    change(content)
    write_json(checkpoint / "tokenizer.json", content)
    with pytest.raises(CheckpointError, match=f"transformers cannot load its tokenizer .*{says}"):
        load_tokenizer(open_checkpoint(checkpoint))


@pytest.mark.skipif(importlib.util.find_spec("sentencepiece") is not None, reason="sentencepiece is installed")
def test_a_sentencepiece_model_without_the_package(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", model_type="xlm-roberta")
    (checkpoint / "sentencepiece.bpe.model").write_bytes(b"any")
    assert load_tokenizer(open_checkpoint(checkpoint))("a")["input_ids"]  # of tokenizer.json
    (checkpoint / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"sentencepiece\.bpe\.model, and no tokenizer\.json.*pip install sent"):
        load_tokenizer(open_checkpoint(checkpoint))


def test_a_sentencepiece_model_with_the_package(tmp_path: Path) -> None:
    folder = overlay("sentencepiece==0.2.3")
    write_json(tmp_path / "config.json", {"model_type": "xlm-roberta"})
    (tmp_path / "texts.txt").write_text("\n".join(CORPUS * 5))
    script = """
        import sys
        from pathlib import Path
        import sentencepiece
        from simcse_engine.errors import CheckpointError
        from simcse_export.checkpoint.checkpoint import open_checkpoint
        from simcse_export.checkpoint.tokenizer import load_tokenizer
        folder, name = Path(sys.argv[1]), "sentencepiece.bpe"
        sentencepiece.SentencePieceTrainer.train(
            input=folder / "texts.txt", model_prefix=folder / name, vocab_size=100, hard_vocab_limit=False,
            minloglevel=5, pad_id=-1,
        )
        model = sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{name}.model"))
        text = "The cat plays the guitar."
        # XLM-R puts <s>, <pad>, </s> and <unk> before the model's pieces, whose own three specials it leaves out.
        pieces = [i + 1 for i in model.encode(text)]
        assert load_tokenizer(open_checkpoint(folder))(text)["input_ids"] == [0, *pieces, 2]
        (folder / f"{name}.model").write_bytes(b"any")
        try:
            load_tokenizer(open_checkpoint(folder))
        except CheckpointError as error:
            print(error)
    """
    paths = ":".join([str(folder), *(str(ROOT / name) for name in ("engine", "export"))])
    said = run_script(script, tmp_path, PYTHONPATH=paths)
    assert "sentencepiece.bpe.model: cannot be read as a SentencePiece model; is the download complete?" in said
