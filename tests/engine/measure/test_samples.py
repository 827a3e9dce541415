from simcse_engine.measure.samples import sentences


def test_distinct_and_the_same_every_time() -> None:
    made = sentences(3000)
    assert len(set(made)) == len(made) == 3000
    assert made[:100] == sentences(100)


def test_they_look_like_sentences_of_many_lengths() -> None:
    made = sentences(3000)
    assert all(text[0].isupper() and text.endswith(".") and "  " not in text for text in made)
    words = sorted(len(text.split()) for text in made)
    assert words[0] >= 5
    assert words[-1] <= 100
    assert 8 <= words[1500] <= 14
    assert words[2850] >= 25
