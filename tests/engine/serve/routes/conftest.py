"""What the tests of routes share: a service in int8, whose vectors must be the encoder's to the bit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simcse_engine import Encoder
from simcse_engine.serve import ServeOptions, app
from simcse_export import ExportOptions
from support.asgi import Asgi
from support.maker import Maker

MOST_TEXTS = 40
NAME = "princeton-nlp/a-model"


@pytest.fixture(scope="package")
def encoder(int8: Path) -> Iterator[Encoder]:
    """What the service must agree with."""
    with Encoder(int8) as encoder:
        yield encoder


@pytest.fixture(scope="package")
def service(encoder: Encoder) -> Iterator[Asgi]:
    """A service without an index."""
    with Asgi(app(encoder, options=ServeOptions(max_client_batch_size=MOST_TEXTS, model_name=NAME))) as service:
        yield service


@pytest.fixture(scope="package")
def with_prompts(prompted: Path) -> Iterator[Encoder]:
    """An artifact with prompts."""
    with Encoder(prompted) as encoder:
        yield encoder


@pytest.fixture(scope="package")
def cutting(encoder: Encoder) -> Iterator[Asgi]:
    """One that cuts long texts where a request does not say."""
    with Asgi(app(encoder, options=ServeOptions(auto_truncate=True))) as service:
        yield service


@pytest.fixture(scope="package")
def unnormalized(maker: Maker) -> Iterator[Encoder]:
    """An artifact whose vectors are of any length."""
    artifact = maker.artifact("bert", ExportOptions(pooler="avg", max_tokens=32, normalize=False))
    with Encoder(artifact) as encoder:
        yield encoder
