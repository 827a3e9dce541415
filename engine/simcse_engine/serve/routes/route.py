"""Route: a path, what it takes and what it answers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..http.messages import Request, Response
from ..http.problems import Style
from ..service import Service


@dataclass(frozen=True, kw_only=True)
class Route:
    """A route of the service; the OpenAPI document is made of these.

    Attributes:
        method: "GET" or "POST".
        path: the whole path, which may end with a parameter in braces: all the rest.
        handler: called with the service, the request and its decoded body (None without ``takes``).
        summary: a line for the document.
        takes: the type of the body's JSON; None for no body.
        answers: the type of the answer's JSON, or the media type of another; None for an empty answer.
        or_answers: other media types of the answer, for a client that prefers one of them.
        headers: of the answer, beside those that all routes share.
        problems: the statuses of its problems, beside those that all routes share.
        encodes: whether it encodes texts, and says in headers how long that took.
        style: in which shape its problems are.
        guarded: whether it needs the API key, and counts as a request under way.
        needs_index: whether it is there only with an index.
    """

    method: str
    path: str
    handler: Callable[[Service, Request, Any], Awaitable[Response]]
    summary: str
    takes: Any = None
    answers: Any = None
    or_answers: Sequence[str] = ()
    headers: Sequence[str] = ()
    problems: Sequence[int] = ()
    encodes: bool = False
    style: Style = "tei"
    guarded: bool = True
    needs_index: bool = False
