"""Which prompt is put before texts: as sentence-transformers 5 and 6 choose it; and what encoders do with it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from simcse_engine import Encoder, Index
from simcse_engine.errors import IndexMismatchError, InputTypeError, InputValueError, TruncationError
from simcse_engine.prompts import DOCUMENT, QUERY, Prompts

PROMPTS = Prompts({"query": "q: ", "document": "", "passage": "p: ", "other": "o: "}, "other")


@pytest.mark.parametrize(
    ("name", "prompt", "kind", "chosen"),
    [
        (None, None, (), "o: "),
        (None, None, QUERY, "q: "),
        (None, None, DOCUMENT, ""),
        ("passage", None, QUERY, "p: "),
        (None, "mine: ", QUERY, "mine: "),
        (None, "", (), ""),
        ("passage", "mine: ", QUERY, "mine: "),
        ("passage", "", (), ""),
    ],
)
def test_the_prompt(name: str | None, prompt: str | None, kind: tuple[str, ...], chosen: str) -> None:
    assert PROMPTS.choose(name, prompt, kind) == chosen


def test_without_prompts() -> None:
    assert Prompts({}).choose(None, None, QUERY) == ""


@pytest.mark.parametrize(
    ("name", "prompt", "error", "message"),
    [
        ("queries", None, InputValueError, "prompt_name='queries': this artifact's prompts are 'query', 'document', "),
        (5, None, InputTypeError, "prompt_name=5: expected a str"),
        (None, 5, InputTypeError, "prompt=5: expected a str"),
        (None, "a\ud800", InputValueError, r"^prompt='a\\ud800': holds a lone surrogate \('\\ud800'\) at character 1;"),
    ],
)
def test_what_is_no_prompt(name: object, prompt: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        PROMPTS.choose(name, prompt)  # type: ignore[arg-type]


def test_an_artifact_without_prompts_says_so() -> None:
    with pytest.raises(InputValueError, match="this artifact's prompts are none"):
        Prompts({}).choose("query", None)


TEXTS = ["a man", "", " the mat ", "A man plays a guitar.", "a man"]


@pytest.fixture(scope="module")
def encoder(prompted: Path) -> Iterator[Encoder]:
    with Encoder(prompted) as opened:
        yield opened


def behind(encoder: Encoder, prompt: str, texts: list[str]) -> np.ndarray:
    return encoder.encode([prompt + text for text in texts], prompt="")


def test_an_encoder_puts_prompts_before_texts(encoder: Encoder) -> None:
    for made, prompt in (
        (encoder.encode(TEXTS), "some one "),
        (encoder.encode(TEXTS, prompt_name="query"), "the cat: "),
        (encoder.encode(TEXTS, prompt="mine "), "mine "),
        (encoder.encode_query(TEXTS), "the cat: "),
        (encoder.encode_document(TEXTS), "a man "),
        (encoder.encode_document(TEXTS, prompt_name="other"), "some one "),
        (np.concatenate(list(encoder.stream(iter(TEXTS)))), "some one "),
        (np.concatenate(list(encoder.stream(iter(TEXTS), prompt_name="query"))), "the cat: "),
    ):
        np.testing.assert_allclose(made, behind(encoder, prompt, TEXTS), atol=1e-6)
    assert encoder.encode_query(TEXTS, dimensions=8, dtype="ubinary").shape == (5, 1)


def test_a_prompt_counts_towards_the_longest_text(encoder: Encoder) -> None:
    text = "the cat " * 15  # and two special tokens
    encoder.encode([text], prompt="", truncate="error")
    with pytest.raises(TruncationError, match=r"texts\[1\] has more than max_tokens=32 tokens"):
        encoder.encode(["a", text], truncate="error")
    # The text is cut, and never its prompt.
    np.testing.assert_allclose(
        encoder.encode([text + "guitar"], truncate="silent"), encoder.encode([text], truncate="silent"), atol=1e-6
    )


def test_unknown_prompts_are_told_before_a_stream_is_used(encoder: Encoder) -> None:
    with pytest.raises(InputValueError, match="prompt_name='queries'"):
        encoder.stream(iter(TEXTS), prompt_name="queries")
    with pytest.raises(InputValueError, match="prompt_name='queries'"):
        encoder.encode_query(TEXTS, prompt_name="queries")


def test_tokens_are_counted_as_transformers_does(encoder: Encoder, checkpoint: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    texts = [*TEXTS, "[SEP] [MASK]", "the cat " * 5000, "一个男人" * 3000, "Größe é"]
    for options, prompt in (({}, "some one "), ({"prompt": ""}, ""), ({"prompt_name": "query"}, "the cat: ")):
        expected = [len(tokenizer(prompt + text)["input_ids"]) for text in texts]
        assert encoder.count_tokens(texts, **options) == expected
    assert encoder.count_tokens([]) == []
    with pytest.raises(InputTypeError, match="texts is one str"):
        encoder.count_tokens("a man")
    with pytest.raises(InputTypeError, match=r"texts\[1\] is NoneType"):
        encoder.count_tokens(["a", None])  # type: ignore[list-item]


def test_an_index_searches_and_adds_with_prompts_of_their_own(encoder: Encoder, prompted: Path, tmp_path: Path) -> None:
    documents = ["a man plays", "the cat is on the mat", "a guitar", "some onion"]
    expected = behind(encoder, "the cat: ", TEXTS) @ behind(encoder, "a man ", documents).T
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in documents))
    with Index.create(tmp_path / "index", prompted) as index:
        index.add_from(tmp_path / "texts.txt")
        found = {(i, hit.key): hit.score for i, hits in enumerate(index.search(TEXTS, k=4)) for hit in hits}
        np.testing.assert_allclose([found[i, j] for i in range(5) for j in range(4)], expected.ravel(), atol=1e-5)
        # Vectors are searched for as they are.
        vectors = encoder.encode(TEXTS, prompt="")
        assert [hit[0].score for hit in index.search(vectors, k=1)] == pytest.approx(
            (vectors @ behind(encoder, "a man ", documents).T).max(axis=1).tolist(), abs=1e-5
        )


def test_an_index_made_without_prompts_is_of_another_model(prompted: Path, artifact: Path, tmp_path: Path) -> None:
    Index.create(tmp_path / "index", artifact).close()
    with pytest.raises(IndexMismatchError, match="is of another model, pooler, tokenizer, prompts or length"):
        Index.open(tmp_path / "index", artifact=prompted, same_model=True)
