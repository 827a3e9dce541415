"""The page at `/`, for people: one document from memory, with its style and its scripts inside."""

import functools
import hashlib
from base64 import b64encode
from pathlib import Path

from ..http.messages import Request, Response
from ..service import Service
from .route import Route

_FOLDER = Path(__file__).parent.parent / "page"
# In the order in which they run.
_SCRIPTS = ("client.js", "panel.js", "pair.js", "matrix.js", "search.js", "main.js")


async def page(service: Service, request: Request, body: None) -> Response:  # noqa: ARG001
    """The page; it asks the other routes for all that it shows."""
    document, headers = _page(index=service.index is not None, key=service.options.api_key is not None)
    return Response(document, content_type="text/html; charset=utf-8", headers=list(headers))


@functools.cache
def _page(*, index: bool, key: bool) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    """The document and its headers. It knows whether there are an index and a key, and so asks for neither in vain."""
    style = _read("style.css")
    script = '"use strict";\n' + "\n".join(map(_read, _SCRIPTS))
    document = _read("index.html")
    for name, value in {"index": _word(index), "key": _word(key), "style": style, "script": script}.items():
        document = document.replace(f"{{{name}}}", value, 1)
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(script)}",
            f"style-src {_hash(style)}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )
    headers = {
        "content-security-policy": policy,
        "cache-control": "no-cache",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    return document.encode(), tuple((name.encode(), value.encode()) for name, value in headers.items())


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _word(fact: bool) -> str:
    return "yes" if fact else "no"


ROUTES = (
    Route(
        method="GET",
        path="/",
        handler=page,
        summary="A page for people",
        answers="text/html",
        guarded=False,
    ),
)
