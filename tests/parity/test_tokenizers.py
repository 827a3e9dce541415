"""The engine's ids are transformers', for whatever Unicode holds."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from simcse_engine.artifact.manifest import TOKENIZER, Manifest
from simcse_engine.tokenizer import Tokenizer
from simcse_export import ExportOptions, export
from support.checkpoints import make_checkpoint

# (text, at most so many tokens) → ids
Ids = Callable[[str, int], list[int]]

SPECIAL = ["[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]", "<s>", "</s>", "<pad>", "<mask>", "<unk>", "##", "Ġ", "Ċ", "▁"]
ODD = [
    *("\0", "\x07", "\x1b", "\x7f", "\x85", "\t", "\n", "\r", "\r\n", "\x0b", "\x0c", " ", "  ", "\u00a0", "\u3000"),
    *("\u200b", "\u200d", "\u2028", "\u2029", "\ufeff", "\ufffd", "\ufffe", "\uffff", "\u00ad", "\u0378", "\ue000"),
    *("e\u0301", "é", "\u0301", "a\u0301\u0302\u0303", "İ", "ı", "ß", "ẞ", "ﬁ", "Ⅳ", "x²", "ǅ", "Σ", "ς", "\u0345"),
    *(
        "😂",
        "👩\u200d👩\u200d👧",
        "🇩🇪",
        "\U000e0041",
        "\U0001f3fb",
        "𝔘𝔫𝔦",
        "\U0010ffff",
        "\U00020000",
        "一",
        "㐀",
        "한",
        "각",
    ),
    *(
        "שלום",
        "الكتاب",
        "\u202e",
        "\u202c",
        "\u200f",
        "\u0600",
        "हिन्दी",
        "ไทย",
        "東京",
        "ガ",
        "ｶﾞ",
        "！",
        "don't",
        "I'LL",
        "x'ſ",
    ),
    *("a" * 101, "1,204.50", "https://example.org/?a=b&c", "__init__", "A man", " plays", "guitar.", "#hashtag", "@x"),
]

texts = st.one_of(
    st.text(),
    st.text(st.characters(categories=["Cc", "Cf", "Cn", "Co", "Mn", "Me", "Mc", "Zs", "Zl", "Zp"])),
    st.lists(st.one_of(st.sampled_from(ODD + SPECIAL), st.text(max_size=3)), max_size=40).map("".join),
    st.lists(st.sampled_from(ODD + SPECIAL), max_size=40).map(" ".join),
    st.builds(lambda text, times: text * times, st.text(min_size=1, max_size=5), st.integers(100, 2000)),
)


@pytest.fixture(scope="module", params=["tiny BERT", "tiny RoBERTa", "simcse-minilm-l6"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ids, Ids]:
    """The engine's ids from an artifact, and transformers' from its checkpoint."""
    if request.param == "simcse-minilm-l6":
        checkpoint = request.getfixturevalue("real_checkpoint")
        artifact = request.getfixturevalue("real_artifact")
    elif request.param == "tiny BERT":
        checkpoint, artifact = request.getfixturevalue("checkpoint"), request.getfixturevalue("artifact")
    else:
        folder = tmp_path_factory.mktemp("roberta")
        checkpoint, artifact = make_checkpoint(folder / "checkpoint", model_type="roberta"), folder / "artifact"
        export(checkpoint, artifact, ExportOptions(pooler="avg", max_tokens=32))
    return _engine(artifact), _transformers(checkpoint)


def _engine(artifact: Path) -> Ids:
    limit = Manifest.read(artifact).max_tokens
    tokenizers = {n: Tokenizer(artifact / TOKENIZER, n) for n in range(3, limit + 1)}
    return lambda text, max_tokens: tokenizers[max_tokens].encode([text]).ids[0]


def _transformers(checkpoint: Path) -> Ids:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)

    def ids(text: str, max_tokens: int) -> list[int]:
        ids: list[int] = tokenizer(text, truncation=True, max_length=max_tokens)["input_ids"]
        return ids

    return ids


@given(text=texts, max_tokens=st.integers(3, 32))
@example(text="", max_tokens=3)
@example(text=" ".join(ODD), max_tokens=32)
@example(text="".join(ODD), max_tokens=32)
@example(text=" ".join(SPECIAL), max_tokens=32)
@example(text="".join(SPECIAL), max_tokens=32)
@example(text="\ud7ff\ue000", max_tokens=8)
@settings(max_examples=400)
def test_same_ids(both: tuple[Ids, Ids], text: str, max_tokens: int) -> None:
    engine, reference = both
    assert engine(text, max_tokens) == reference(text, max_tokens)


def test_every_character(both: tuple[Ids, Ids]) -> None:
    engine, reference = both
    # Between letters, where a character that is dropped, replaced, split at or lowercased shows.
    for block in range(0, 0x30000, 8):
        text = "".join(f"a{chr(code)}B" for code in range(block, block + 8) if not 0xD800 <= code < 0xE000)
        assert engine(text, 32) == reference(text, 32), hex(block)


def test_a_megabyte(both: tuple[Ids, Ids]) -> None:
    engine, reference = both
    for text in ("a man plays " * 83_000, "\u0301é😂" * 100_000):
        assert engine(text, 32) == reference(text, 32)
