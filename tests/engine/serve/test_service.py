"""What all routes share."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from simcse_engine import Encoder, Index
from simcse_engine.serve import ServeOptions
from simcse_engine.serve.service import Service


@pytest.mark.parametrize("texts", [[], ["one", "two"]])
def test_an_index_has_been_searched_before_the_service_is_ready(
    artifact: Path, tmp_path: Path, texts: list[str]
) -> None:
    searches = []

    async def warm(service: Service) -> None:
        service.state = "starting"
        await service.warm_up()
        assert service.ready
        await service.close()

    with Encoder(artifact) as encoder, Index.create(tmp_path / "index", encoder) as index:
        index.add(texts)
        search = index.search

        def counted(*args: Any, **options: Any) -> Any:
            searches.append(args)
            return search(*args, **options)

        index.search = counted  # type: ignore[method-assign]
        asyncio.run(warm(Service(encoder, index, ServeOptions())))
    assert len(searches) == 1
