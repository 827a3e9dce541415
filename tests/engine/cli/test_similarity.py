"""The command similarity: cosines of any vectors, a table that lines up."""

import numpy as np

from simcse_engine.cli.similarity import cosine_table, cosines


def test_cosines_are_of_directions_not_of_lengths() -> None:
    vectors = np.array([[3, 0], [0, 0.5], [-1e-3, 0], [2e4, 2e4]], np.float32)
    half = np.sqrt(0.5)
    expected = [[1, 0, -1, half], [0, 1, 0, half], [-1, 0, 1, -half], [half, half, -half, 1]]
    np.testing.assert_allclose(cosines(vectors), expected, atol=1e-7)


def test_a_zero_vector_is_like_nothing() -> None:
    np.testing.assert_array_equal(cosines(np.array([[0, 0], [1, 0]], np.float32)), [[0, 0], [0, 1]])


def test_a_table_has_one_line_a_sentence() -> None:
    sentences = ["Short.", "Two\nlines\tand a tab.", "long " * 100]
    lines = cosine_table(sentences, np.array([[1, 0.25, -0.5], [0.25, 1, 0], [-0.5, 0, 1]])).split("\n")
    assert lines[0].split() == ["1", "2", "3"]
    assert lines[1].split() == ["1", "1.0000", "0.2500", "-0.5000", "Short."]
    assert lines[2].endswith("  Two lines and a tab.")
    assert lines[3].endswith("…")
    assert len(lines[3]) < 120
    # Every number ends under its column's number.
    ends = [position for position, character in enumerate(lines[0]) if character.isdigit()]
    assert all(line[end].isdigit() and line[end + 1] == " " for line in lines[1:] for end in ends)
