"""Options that cannot be."""

import pytest

from simcse_engine.errors import InputValueError
from simcse_engine.serve import ServeOptions


@pytest.mark.parametrize("name", ["max_concurrent_requests", "max_batch_tokens", "max_client_batch_size"])
def test_counts(name: str) -> None:
    with pytest.raises(InputValueError, match=f"{name}=0: expected at least 1"):
        ServeOptions(**{name: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["", "with\nbreak", "schlüssel"])
def test_keys(key: str) -> None:
    with pytest.raises(InputValueError, match="the API key is empty, or holds what no HTTP header can"):
        ServeOptions(api_key=key)


@pytest.mark.parametrize("key", ["k ", " k", " "])
def test_keys_that_no_header_brings(key: str) -> None:
    with pytest.raises(InputValueError, match="the API key begins or ends with a space"):
        ServeOptions(api_key=key)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_seconds(seconds: float) -> None:
    with pytest.raises(InputValueError, match="is not above 0 seconds"):
        ServeOptions(body_timeout_s=seconds)
