"""The check texts are of many lengths, the same as ever, and found without counting them over and over."""

import itertools
from collections.abc import Callable

import pytest
from tokenizers import Tokenizer, models

from simcse_export.texts.check import _RUN, check_texts
from support.checkpoints import make_checkpoint

Count = Callable[[str], int]


@pytest.fixture(scope="module", params=["bert", "roberta"])
def count_tokens(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Count:
    folder = make_checkpoint(tmp_path_factory.mktemp("texts") / "checkpoint", model_type=request.param)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return lambda text: len(tokenizer.encode(text))


def grown_word_by_word(tokens: int, count_tokens: Count) -> str:
    """The definition: words are added as long as they fit, then the shortest one."""
    words, text = itertools.cycle(_RUN.split()), ""
    while count_tokens(longer := f"{text} {next(words)}".strip()) <= tokens:
        text = longer
    while count_tokens(longer := f"{text} a".strip()) <= tokens:
        text = longer
    return text


@pytest.mark.parametrize("max_tokens", [3, 4, 17, 64, 128, 512])
def test_grown_texts_are_as_long_as_fits(count_tokens: Count, max_tokens: int) -> None:
    texts = check_texts(count_tokens, max_tokens)
    parts = {max_tokens // 8, max_tokens // 4, max_tokens // 2, max_tokens - 1, max_tokens, max_tokens + 1, 3}
    targets = [target for target in sorted(parts) if target >= 3]
    assert texts[-len(targets) - 1 : -1] == [grown_word_by_word(target, count_tokens) for target in targets]
    assert {max_tokens, max_tokens + 1} <= {count_tokens(text) for text in texts}
    assert count_tokens(texts[-1]) > max_tokens + 1


def test_long_texts_are_counted_few_times(count_tokens: Count) -> None:
    counted = []

    def count(text: str) -> int:
        counted.append(len(text))
        return count_tokens(text)

    check_texts(count, 8192)
    assert len(counted) < 250
    assert sum(counted) < 100 * max(counted)


def test_a_tokenizer_that_finds_nothing_comes_to_an_end() -> None:
    tokenizer = Tokenizer(models.BPE())
    assert len(tokenizer.encode("the river ran high")) == 0
    texts = check_texts(lambda text: len(tokenizer.encode(text)), 64)
    assert len(texts[-2].split()) == 65
