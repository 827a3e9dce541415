"""A long text's first tokens are those of the whole text, for every kind of tokenizer, read in short pieces."""

import functools
import itertools
from collections.abc import Callable

import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from simcse_engine.pieces import Reader
from simcse_engine.tokenizer import LONGEST
from support.checkpoints import CORPUS

SPECIAL = ["<s>", "</s>", "<unk>", "<mask>"]
TEXTS = [
    *(*CORPUS, "aaaa aaaaaaa abab banana", "हिन्दी में लिखा हुआ", "ภาษาไทย", "東京タワー", "1,204.50 2024 10000000"),
    *("don't I'LL", "    indented\n\n\n\tlines ==== ----", "https://example.org/?a=b&c", "👩\u200d👩\u200d👧 🇩🇪😂"),
]
REACH = 128
TRAINERS = {
    **{"BPE": trainers.BpeTrainer, "Unigram": trainers.UnigramTrainer},
    **{"WordPiece": trainers.WordPieceTrainer, "WordLevel": trainers.WordLevelTrainer},
}


def bert(**options: bool) -> tokenizers.Tokenizer:
    return _trained("WordPiece", normalizers.BertNormalizer(**options), pre_tokenizers.BertPreTokenizer())


def byte_level(normalizer: normalizers.Normalizer | None = None, **options: bool) -> tokenizers.Tokenizer:
    return _trained("BPE", normalizer, pre_tokenizers.ByteLevel(**options), alphabet=True)


def right_aligned_digits() -> tokenizers.Tokenizer:
    """Where a number is parted depends on its end, however far away that is."""
    digits = pre_tokenizers.Split(Regex(r"\d{1,3}(?=(\d{3})*\b)"), "isolated")
    words = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return _trained("BPE", None, words, alphabet=True)


def with_added_tokens() -> tokenizers.Tokenizer:
    tokenizer = bert()
    added = [AddedToken("a man", normalized=True), AddedToken("the", single_word=True), AddedToken("<r>", rstrip=True)]
    tokenizer.add_tokens(added)
    return tokenizer


def with_white_space_of_other_characters() -> tokenizers.Tokenizer:
    spaces = [normalizers.Replace(char, " ") for char in "\u200b\ufffd"]
    drops = [normalizers.Replace("\x00", ""), normalizers.NFKD(), normalizers.StripAccents()]
    tokenizer = _trained("Unigram", normalizers.Sequence([*spaces, *drops]), pre_tokenizers.Metaspace())
    tokenizer.add_tokens([AddedToken("guitar", lstrip=True)])
    return tokenizer


KINDS: dict[str, Callable[[], tokenizers.Tokenizer]] = {
    "WordPiece": bert,
    "WordPiece, cased": lambda: bert(lowercase=False, strip_accents=False),
    "WordPiece, added tokens": with_added_tokens,
    "WordPiece, one word": lambda: _trained("WordPiece", normalizers.NFKC(), None),
    "byte-level BPE": lambda: byte_level(add_prefix_space=False),
    "byte-level BPE, NFC": lambda: byte_level(normalizers.NFC(), add_prefix_space=True),
    "byte-level BPE, digits": right_aligned_digits,
    "BPE, characters": lambda: _trained("BPE", normalizers.NFC(), pre_tokenizers.Split(Regex("."), "isolated")),
    "BPE, Metaspace": lambda: _trained("BPE", None, pre_tokenizers.Metaspace()),
    "BPE, one word": lambda: _trained("BPE", normalizers.Sequence([normalizers.Replace(" ", "▁")]), None),
    "Unigram": lambda: _trained("Unigram", normalizers.NFKC(), pre_tokenizers.Metaspace()),
    "Unigram, accents": lambda: _trained(
        "Unigram",
        normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]),
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
    ),
    "Unigram, white space": lambda: _trained("Unigram", normalizers.Strip(), pre_tokenizers.UnicodeScripts()),
    "Unigram, other spaces": with_white_space_of_other_characters,
    "WordLevel": lambda: _trained("WordLevel", normalizers.Lowercase(), pre_tokenizers.Whitespace()),
}


@functools.cache
def made(kind: str) -> tokenizers.Tokenizer:
    return KINDS[kind]()


def _trained(
    model: str,
    normalizer: normalizers.Normalizer | None,
    words: pre_tokenizers.PreTokenizer | None,
    *,
    alphabet: bool = False,
) -> tokenizers.Tokenizer:
    unknown = {} if alphabet or model == "Unigram" else {"unk_token": "<unk>"}
    tokenizer = tokenizers.Tokenizer(getattr(models, model)(**unknown))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if words is not None:
        tokenizer.pre_tokenizer = words
    options = {"special_tokens": SPECIAL, "show_progress": False}
    if model != "WordLevel":
        options["vocab_size"] = 500
    if model == "Unigram":
        options["unk_token"] = "<unk>"
    if alphabet:
        options["initial_alphabet"] = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(TEXTS, TRAINERS[model](**options))
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    frame = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=frame)
    return tokenizer


def whole(tokenizer: tokenizers.Tokenizer, text: str, max_tokens: int) -> tuple[list[int], bool]:
    """The ids that are kept, and whether there are more, of the whole text at once."""
    ids = tokenizer.encode(text).ids
    return (ids, False) if len(ids) <= max_tokens else ([*ids[: max_tokens - 1], ids[-1]], True)


ODD = [
    *(
        " ",
        "  ",
        "\n",
        "\t",
        "\u00a0",
        "\u3000",
        "\u200b",
        "\x00",
        "a",
        "b",
        "the ",
        "a man ",
        "guitar",
        "abab",
        "don't",
    ),
    *("漢", "東京", "の", "ガ", "ｶﾞ", "ภา", "ไทย", "क्षि", "한", "ᄒ", "ᅡ", "ᆫ", "שלום", "الكتاب", "\u202e", "\u0378"),
    *(
        "\u0301",
        "\u0323",
        "e\u0301",
        "é",
        "ö",
        "ß",
        "İ",
        "ﬁ",
        "½",
        "㎞",
        "😂",
        "👩\u200d👩\u200d👧",
        "🇩🇪",
        "\U0001f3fb",
    ),
    *("##", "[SEP]", "</s>", "<mask>", "<r>", "<ma", "=", "--", ",", "!?", "1", "007", "Qx7/zJ+", "▁", "Ġ"),
]
runs = st.one_of(
    # From a few characters, to more than a word or the first piece has.
    st.builds(str.__mul__, st.sampled_from(ODD), st.sampled_from([1, 2, 60, 130, 700])),
    st.builds(str.__mul__, st.lists(st.sampled_from(ODD), min_size=2, max_size=5).map("".join), st.integers(1, 200)),
    st.text(max_size=40),
    st.lists(st.text("abcdefXYZ0123+/", min_size=8), max_size=9).map("".join),
)
texts = st.lists(runs, min_size=1, max_size=8).map("".join)


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts, max_tokens=st.integers(3, 40))
@example(text="e" + "\u0301" * 3000 + "a man", max_tokens=8)
@example(text="a" * 3000 + " a", max_tokens=3)
@example(text="a" + " " * 3000 + "<mask>", max_tokens=8)
@example(text="a" + "\u0301" * 600 + " " + "\u0301" * 600 + "a", max_tokens=8)
@example(text="a man" + "\n" * 9001 + "1", max_tokens=8000)
# Two paths are equally good, but for the rounding of sums that begin with the score of what is unknown.
@example(text="Ω" * 1502 + "a" + "=" * 2419, max_tokens=40)
@example(text="the" + "\u0301" * 2000 + "\u0323", max_tokens=8)
@example(text="\u200b" * 9000 + "guitar", max_tokens=3)
@example(text="\x00 \ufffd´" * 2000 + "guitar", max_tokens=3)
@example(text="1" * 3001, max_tokens=8)
@example(text=("ab" * 400 + " ") * 5, max_tokens=40)
@settings(max_examples=25)
def test_as_the_whole_text(kind: str, text: str, max_tokens: int) -> None:
    tokenizer = made(kind)
    assert Reader(tokenizer.encode, text, max_tokens, REACH).read() == whole(tokenizer, text, max_tokens)


# The expression that parts digits takes time by the square of their number.
QUICK = [kind for kind in KINDS if kind != "byte-level BPE, digits"]


@pytest.mark.parametrize("kind", QUICK)
@pytest.mark.parametrize("unit", ["漢", "a", "a b", "\n", ",", "\u00a0", "\u0301", "🇩🇪", "[SEP]", "## ", "1", "क्षि"])
def test_a_long_text_of_one_unit(kind: str, unit: str) -> None:
    tokenizer = made(kind)
    text = "the" + unit * (40_000 // len(unit)) + "man"
    for max_tokens in (5, 200):
        assert Reader(tokenizer.encode, text, max_tokens, REACH).read() == whole(tokenizer, text, max_tokens)


# Of a run of one letter, the best path's start depends on the run's length, so the whole is read.
ENDLESS = {("Unigram, other spaces", "\n"), *((kind, "a") for kind in KINDS if kind.startswith("Unigram"))}


UNITS = ["漢", "a", "ab ", "\n", ",", "Qx7/zJ+", "ภาษาไทย", "\u0301", "👩\u200d👩\u200d👧", "[SEP]"]


@pytest.mark.parametrize(
    ("kind", "unit"),
    [case for case in itertools.product(KINDS, UNITS) if case not in ENDLESS and case[0] != "byte-level BPE, digits"],
)
def test_pieces_are_short_and_few(kind: str, unit: str) -> None:
    tokenizer, lengths = made(kind), list[int]()

    def encode(piece: str) -> tokenizers.Encoding:
        lengths.append(len(piece))
        return tokenizer.encode(piece)

    text = unit * (300_000 // len(unit))
    ids, cut = Reader(encode, text, 128, REACH).read()
    assert max(lengths) <= LONGEST
    # Of one token or none, the text is read to its end, each piece once or twice; of more, as much as it takes.
    assert sum(lengths) <= (200_000 if cut else 2.5 * len(text))
    assert len(ids) == 128 or not cut
