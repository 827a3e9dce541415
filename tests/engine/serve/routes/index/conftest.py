"""What the tests of an index's routes share: a service with an index of some sentences."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simcse_engine import Encoder, Index
from simcse_engine.serve import ServeOptions, app
from support.asgi import Asgi

MOST_TEXTS = 40
LONG = "the man plays guitar " * 20
SENTENCES = [f"{who} {does} {what}" for who in ("a man", "some cat", "the girl") for does in ("plays", "is on", "eats")
             for what in ("the guitar", "a mat", "an onion")]  # fmt: skip


@pytest.fixture
def index(encoder: Encoder, tmp_path: Path) -> Iterator[Index]:
    """Twenty-seven sentences, whose metadata are their numbers and whether those are even."""
    with Index.create(tmp_path / "index", encoder) as index:
        metadata = [None if i == 5 else {"n": i, "even": i % 2 == 0} for i in range(len(SENTENCES))]
        index.add(SENTENCES, metadata=metadata)
        yield index


@pytest.fixture
def service(encoder: Encoder, index: Index) -> Iterator[Asgi]:
    with Asgi(app(encoder, index=index, options=ServeOptions(max_client_batch_size=MOST_TEXTS))) as service:
        yield service
