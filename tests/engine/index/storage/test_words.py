"""What FTS5 is given of texts and asked for queries."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcse_engine.index.storage.keywords import add_keywords, create_keywords, find_keywords
from simcse_engine.index.storage.words import expressions, paired


def found(texts: list[str], query: str, most: int = 1000) -> list[int]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create_keywords(connection)
    add_keywords(connection, enumerate(texts))
    rows, scores = find_keywords(connection, query, most)
    assert len(rows) == len(scores)
    return sorted(rows.tolist())


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ("cafe", ["Café", "cafe\u0301", "CAFÉ!", "a café."]),
        ("ERR-4711", ["(err_4711)", "error 4711", "ERR"]),
        ("don't", ["don't", "Don’t"]),
        ("ПРИВЕТ", ["Привет, мир"]),
        ("भाषा", ["हिन्दी भाषा"]),
        ("文法", ["日本語の文法を学ぶ", "文法"]),
        ("法", ["日本語の文法", "法律", "違法な"]),
        ("学习机器", ["机器翻译", "我学习"]),
        ("ภาษา", ["เรียนภาษาไทย"]),
        ("학교", ["학교에서"]),
        ("ｶﾅ", ["ｶﾅ文字"]),
        ("Kyōto2024", ["京都 kyoto2024"]),
        ("a\0b", ["x\0b"]),
    ],
)
def test_finds(query: str, texts: list[str]) -> None:
    others = ["nothing", "的", "ไ", "e", "47", "दी", "ﾅ"]
    assert found([*texts, *others], query) == list(range(len(texts)))


@pytest.mark.parametrize("query", ["", " ", "\0", "🎉", "-- !", '"', "' OR", "^*:{}()", "NEAR(", "\u200b"])
def test_operators_are_words_or_nothing(query: str) -> None:
    """An operator of FTS5's, such as OR, is a word like others."""
    assert found(["nothing of it"], query) == []


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_query_is_answered_and_any_text_can_be_taken_out(text: str, query: str) -> None:
    found([text, query], query)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create_keywords(connection)
    add_keywords(connection, [(0, text), (1, query)])
    connection.execute("INSERT INTO keywords (keywords, rowid, text) VALUES ('delete', 0, ?)", (paired(text),))
    assert 0 not in find_keywords(connection, text, 1000)[0]
    connection.execute("INSERT INTO keywords (keywords) VALUES ('integrity-check')")


def test_of_a_long_query_the_first_words_count() -> None:
    query = " ".join(f"word{i}" for i in range(100_000))
    assert len(expressions(query)) == 128
    assert expressions("Word word WORD 日日日 日") == ['"Word"', '"日日"', '"日" *']


def test_the_rarest_words_count_up_to_a_number_of_rows() -> None:
    texts = ["the cat"] * 5 + ["the dog"] * 3 + ["the"] * 9 + ["the owl"]
    assert found(texts, "the cat dog owl", most=17) == [*range(8), 17]
    assert found(texts, "the cat dog owl", most=4) == [5, 6, 7, 17]
    assert found(texts, "the owl", most=0) == [17]
    # One always counts, and of several that are in too many rows, the rarest.
    assert found(texts, "the cat", most=2) == list(range(5))
    assert found(texts, "the", most=2) == list(range(18))


def test_capitals_stand_as_they_are_and_each_word_once() -> None:
    # FTS5's own tables know fewer capitals than Python: what it leaves in a text, a query must have too.
    assert expressions("Ꭰ Don don DON") == ['"Ꭰ"', '"Don"']
