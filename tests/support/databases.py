"""What tests of vector databases put in and ask, and what must be found."""

import numpy as np

from simcse_engine import Encoder

TEXTS = ["A man plays a guitar.", "the cat is on the mat", "", "一个男人在弹吉他。"]
QUERY = "the dog is walking"


def check_found(found: tuple[list[str], list[float]], encoder: Encoder) -> None:
    """The three nearest of `TEXTS` to `QUERY`, with their distances: 1 less the cosine."""
    cosines = encoder.encode_document(TEXTS) @ encoder.encode_query([QUERY])[0]
    order = np.argsort(-cosines)[:3]
    texts, distances = found
    assert texts == [TEXTS[row] for row in order]
    np.testing.assert_allclose(distances, 1 - cosines[order], atol=1e-6)
