from simcse_engine.measure.samples import sentences


def test_distinct_and_the_same_every_time() -> None:
    texts = sentences(3000)
    assert len(set(texts)) == len(texts) == 3000
    assert texts[:100] == sentences(100)


def test_they_look_like_sentences_of_many_lengths() -> None:
    texts = sentences(3000)
    assert all(text[0].isupper() and text.endswith(".") and "  " not in text for text in texts)
    words = sorted(len(text.split()) for text in texts)
    assert words[0] >= 5
    assert words[-1] <= 100
    assert 8 <= words[1500] <= 14
    assert words[2850] >= 25
