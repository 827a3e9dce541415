"""What a client prefers, by its Accept header."""

import pytest

from simcse_engine.serve.http.accept import preferred

JSON, NPY = "application/json", "application/x-npy"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, JSON),
        (b"", JSON),
        (b"*/*", JSON),
        (b"application/json", JSON),
        (b"application/x-npy", NPY),
        (b"Application/X-NPY", NPY),
        (b"application/x-npy;q=1", NPY),
        (b"application/x-npy ; q=0.5", NPY),
        (b"application/x-npy, */*", NPY),
        (b"application/x-npy, application/*", NPY),
        (b"application/x-npy, application/json", JSON),
        (b"application/json, application/x-npy", JSON),
        (b"application/json;q=0.9, application/x-npy", NPY),
        (b"application/json, application/x-npy;q=0.9", JSON),
        (b"application/x-npy;q=0.1, */*;q=0.2", JSON),
        (b"application/json;q=0, */*", NPY),
        (b"application/x-npy;q=0", JSON),
        (b"text/html, application/xhtml+xml, */*;q=0.8", JSON),
        (b"text/html", JSON),
        (b"application/x-npy;version=1;q=0.3, application/json;q=0.2", NPY),
        (b"application/x-npy;q=high, application/json;q=0.1", JSON),
        (b"application/x-npy;q=nan, application/json;q=0.1", JSON),
        (b"application/x-npy;q=7, application/json;q=0.1", JSON),
        (b";;,,;q=", JSON),
        (b"\xff\xfe", JSON),
        (b"a/b, " * 100_000 + b"application/x-npy", JSON),
    ],
)
def test_preferred(header: bytes | None, expected: str) -> None:
    assert preferred(header, (JSON, NPY)) == expected
