"""Which prompt is put before texts: as sentence-transformers 5 and 6 choose it."""

import pytest

from simcse_engine.errors import InputTypeError, InputValueError
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
        (None, "\ud800", InputValueError, "surrogate"),
    ],
)
def test_what_is_no_prompt(name: object, prompt: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        PROMPTS.choose(name, prompt)  # type: ignore[arg-type]


def test_an_artifact_without_prompts_says_so() -> None:
    with pytest.raises(InputValueError, match="this artifact's prompts are none"):
        Prompts({}).choose("query", None)
