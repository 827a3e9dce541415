"""A multilingual XLM-RoBERTa whose tokenizer is a SentencePiece one: transformers' token ids, and its vectors."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, XLMRobertaTokenizerFast

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import TOKENIZER
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.tokenizer import Tokenizer
from simcse_export import ExportOptions, export
from support.checkpoints import random_model
from support.child import run_script
from support.environments import overlay
from support.forward import TEXTS, assert_equal, forward
from support.maker import short_calibration

ROOT = Path(__file__).resolve().parents[2]
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SENTENCES = [
    "A man plays a guitar on a small stage.",
    "Ein Mann spielt Gitarre, und die Leute hören zu.",
    "Le cœur a ses raisons que la raison ne connaît point.",
    "El perro duerme junto a la chimenea; ¿quién lo despertó?",
    "Человек играет на гитаре в парке.",
    "Ένας άντρας παίζει κιθάρα.",
    "رجل يعزف على الجيتار في الحديقة",
    "אדם מנגן בגיטרה",
    "एक आदमी गिटार बजा रहा है।",
    "ผู้ชายกำลังเล่นกีตาร์",
    "一个男人在弹吉他。",
    "男の人がギターを弾いています。東京の冬は寒い。",
    "한 남자가 기타를 치고 있다.",
    "Một người đàn ông đang chơi đàn guitar.",
    "ﬁne ＦＵＬＬ ｗｉｄｔｈ ½ ① café cafe\u0301",
]
ALL = [*TEXTS, *SENTENCES, "  ".join(SENTENCES), "\u00a0".join(SENTENCES[:4]), "<mask> of <unk> 🎸 ▁ here"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, and a tokenizer as SentencePiece trains it: pieces with their log probabilities."""
    folder = tmp_path_factory.mktemp("multilingual") / "checkpoint"
    backend = Backend(models.Unigram())
    backend.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False)
    backend.train_from_iterator(SENTENCES * 4, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer = XLMRobertaTokenizerFast(tokenizer_object=backend)
    tokenizer.save_pretrained(folder)
    random_model("xlm-roberta", len(tokenizer)).save_pretrained(folder)
    return folder


# transformers 5 gives the tokenizer another normalizer than its file.
@pytest.mark.transformers_4
@pytest.mark.parametrize("pooler", ["avg", "cls_before_pooler"])
def test_ids_and_vectors_are_those_of_transformers(checkpoint: Path, tmp_path: Path, pooler: str) -> None:
    manifest = export(checkpoint, tmp_path / "artifact", ExportOptions(pooler=pooler))
    assert (manifest.architecture["graph"], manifest.max_tokens) == ("authored", 64)
    theirs = AutoTokenizer.from_pretrained(checkpoint)
    expected = theirs(ALL, truncation=True, max_length=64)["input_ids"]
    assert Tokenizer(tmp_path / "artifact" / TOKENIZER, 64).encode(ALL).ids == expected
    # Each script has pieces of its own, and few characters are unknown.
    unknown = [theirs.unk_token_id in ids for ids in theirs(SENTENCES)["input_ids"]]
    assert sum(unknown) < 3
    assert_equal(tmp_path / "artifact", forward(checkpoint, pooler, ALL), ALL)


def test_int8(checkpoint: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    options = ExportOptions(pooler="avg", precision="int8", calibration=short_calibration(tmp_path_factory))
    export(checkpoint, tmp_path / "artifact", options)
    assert open_artifact(tmp_path / "artifact").verified
    with Encoder(tmp_path / "artifact", truncate="silent") as encoder:
        cosines = (encoder.encode(ALL) * forward(checkpoint, "avg", ALL)).sum(axis=1)
    assert cosines.mean() > 0.99
    assert np.isfinite(cosines).all()


def test_a_folder_with_a_sentencepiece_model_alone(tmp_path: Path) -> None:
    """Its ids are those of SentencePiece itself."""
    script = """
        import sys
        from pathlib import Path
        import sentencepiece
        import transformers
        from simcse_engine.artifact.manifest import TOKENIZER
        from simcse_engine.tokenizer import Tokenizer
        from simcse_export import ExportOptions, export
        from support.checkpoints import random_model
        from support.forward import assert_equal, forward
        transformers.logging.disable_progress_bar()
        folder = Path(sys.argv[1])
        texts = [text for text in (folder / "texts.txt").read_text().split("\\n") if text]
        checkpoint = folder / "checkpoint"
        checkpoint.mkdir()
        sentencepiece.SentencePieceTrainer.train(
            input=folder / "texts.txt", model_prefix=checkpoint / "sentencepiece.bpe", vocab_size=400,
            hard_vocab_limit=False, minloglevel=5, pad_id=-1,
        )
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(checkpoint / "sentencepiece.bpe.model"))
        random_model("xlm-roberta", len(pieces) + 2).save_pretrained(checkpoint)
        export(checkpoint, folder / "artifact", ExportOptions(pooler="avg"))
        # XLM-R puts <s>, <pad>, </s> and <unk> before the model's pieces, whose own three specials it leaves out.
        expected = [[0, *[i + 1 if i else 3 for i in pieces.encode(text)][:62], 2] for text in texts]
        assert Tokenizer(folder / "artifact" / TOKENIZER, 64).encode(texts).ids == expected
        assert_equal(folder / "artifact", forward(checkpoint, "avg", texts), texts)
        print(len(texts), "texts")
    """
    (tmp_path / "texts.txt").write_text("\n".join(SENTENCES * 4), encoding="utf-8")
    paths = [overlay("sentencepiece==0.2.3"), *(ROOT / name for name in ("engine", "export", "tests"))]
    said = run_script(script, tmp_path, PYTHONPATH=":".join(map(str, paths)))
    assert f"{len(SENTENCES) * 4} texts" in said
