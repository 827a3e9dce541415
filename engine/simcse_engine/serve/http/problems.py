"""Problem: why a request gets no result, in the shape that its route's clients read."""

import math
from collections.abc import Mapping
from typing import Literal

import msgspec

from ...errors import (
    ClosedError,
    DiskFullError,
    IndexLockedError,
    InputTypeError,
    InputValueError,
    LimitError,
    QueueFullError,
    SimCSEError,
    TruncationError,
)
from ...wording import Wording

Style = Literal["openai", "tei"]

SOON = {"retry-after": "1"}

# By status: OpenAI's `type`, and text-embeddings-inference's `error_type`.
_KINDS = {
    400: ("invalid_request_error", "validation"),
    401: ("authentication_error", "unauthorized"),
    403: ("permission_error", "forbidden"),
    404: ("not_found_error", "not_found"),
    405: ("invalid_request_error", "method_not_allowed"),
    408: ("timeout_error", "timeout"),
    409: ("conflict_error", "conflict"),
    413: ("invalid_request_error", "validation"),
    415: ("invalid_request_error", "validation"),
    421: ("invalid_request_error", "misdirected"),
    422: ("invalid_request_error", "validation"),
    429: ("rate_limit_error", "overloaded"),
    500: ("server_error", "backend"),
    503: ("server_error", "unhealthy"),
    507: ("server_error", "disk_full"),
}

# By status: OpenAI's `code`.
_CODES = {401: "invalid_api_key", 404: "unknown_url", 429: "rate_limit_exceeded"}


class Problem(Exception):  # noqa: N818 - what HTTP calls a problem
    """Ends a request with a status of 400 or more.

    Attributes:
        status: of HTTP.
        message: what was found, what was expected, what to do.
        param: the member of the request's body that is wrong, if one is.
        code: OpenAI's, if it has one for this.
        headers: to send along.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.headers = headers or {}

    def status_in(self, style: Style) -> int:
        """The status: OpenAI has 400 for all that is wrong in a request."""
        return 400 if style == "openai" and self.status == 422 else self.status

    def body(self, style: Style) -> bytes:
        """The JSON document that says so."""
        openai, tei = _KINDS[self.status]
        if style == "openai":
            code = self.code or _CODES.get(self.status)
            error = {"message": self.message, "type": openai, "param": self.param, "code": code}
            return msgspec.json.encode({"error": error})
        return msgspec.json.encode({"error": self.message, "error_type": tei})


def starting() -> Problem:
    """The service is not warm yet."""
    return Problem(503, "the service is starting; /ready says when it takes requests", headers=SOON)


def failed() -> Problem:
    """The service could not start."""
    return Problem(503, "the service could not start; its log says why")


def ending() -> Problem:
    """The service is about to end."""
    return Problem(503, "the service is ending; ask another, or wait until it is back", headers=SOON)


def late() -> Problem:
    """A body that takes too long."""
    return Problem(408, "the body did not arrive in time (--body-timeout)", headers={"connection": "close"})


def problem_of(error: SimCSEError, member: str | None) -> Problem:
    """The problem that an error of the engine is to a client; ``member`` of its body holds the texts."""
    message = message_of(error, member)
    match error:
        case TruncationError():
            return Problem(413, f"{message}, or ask to cut it (truncate, or --auto-truncate)", param=member)
        case InputTypeError() | InputValueError():
            return Problem(422, message)
        case QueueFullError():
            seconds = max(1, math.ceil(error.retry_after_s))
            return Problem(429, message, headers={"retry-after": str(seconds)})
        case DiskFullError():
            return Problem(507, message)
        case IndexLockedError():
            return Problem(409, message)
        case ClosedError():
            return ending()
        case LimitError():
            return Problem(503, message, headers=SOON)
    return Problem(500, message)


def message_of(error: SimCSEError, member: str | None) -> str:
    """An error's message, with texts called by the member of the body that holds them.

    >>> message_of(InputValueError(item("texts", 1, called="text"), " holds a lone surrogate"), "input")
    'input[1] holds a lone surrogate'
    """
    parts = (part.python if isinstance(part, Wording) else str(part) for part in error.args)
    if member is None:
        return "".join(parts)
    return "".join(f"{member}{part[5:]}" if part.startswith("texts[") else part for part in parts)
