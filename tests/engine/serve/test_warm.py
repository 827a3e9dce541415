"""The first runs."""

import asyncio
from pathlib import Path

from simcse_engine import Encoder
from simcse_engine.serve import ServeOptions
from simcse_engine.serve.service import Service
from simcse_engine.serve.warm import warm


def test_speed(artifact: Path) -> None:
    with Encoder(artifact, threads=1) as encoder:
        assert warm(encoder) > 100


def test_the_limit_of_what_waits(artifact: Path) -> None:
    with Encoder(artifact, threads=1) as encoder:
        measured = Service(encoder, None, ServeOptions())
        stated = Service(encoder, None, ServeOptions(max_queued_tokens=5))
        for service in (measured, stated):
            service.state = "starting"
            asyncio.run(service.warm_up())
            assert service.ready
            asyncio.run(service.close())
        assert measured.batching.max_queued_tokens is not None
        assert measured.batching.max_queued_tokens >= 8192
        assert stated.batching.max_queued_tokens == 5
