"""ServeOptions: the limits and names of a service."""

from dataclasses import dataclass

from ..errors import InputValueError
from ..inputs import checked_count
from ..wording import argument


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """The limits of a service; names and meanings are text-embeddings-inference's where it has them.

    Attributes:
        max_concurrent_requests: requests under way; one more gets 429.
        max_batch_tokens: about how many tokens the engine takes up together; None for what the device needs.
        max_queued_tokens: with so many tokens waiting, requests with texts get 429; None for what the machine encodes
            in half a second, measured when the server starts the application, and for any number where none does. A
            request counts by at most half of the limit.
        max_client_batch_size: texts per request; more get 422.
        payload_limit: bytes of a request's body; more get 413. With 32 times as many under way, in bodies and answers,
            requests get 429.
        auto_truncate: cut texts longer than the artifact's ``max_tokens``, instead of 413, where a request does not
            say.
        api_key: what requests must show as ``Authorization: Bearer KEY``; None for no key.
        cache_bytes: memory for vectors by text; 0 for no cache.
        model_name: the name that answers bear; None for the artifact's source.
        body_timeout_s: seconds in which a request's body must arrive, or 408.
        access_log: a line in the log for every request, not only for failures.
        log_texts: whether logs may hold callers' texts.
    """

    max_concurrent_requests: int = 512
    max_batch_tokens: int | None = None
    max_queued_tokens: int | None = None
    max_client_batch_size: int = 2048
    payload_limit: int = 2_000_000
    auto_truncate: bool = False
    api_key: str | None = None
    cache_bytes: int = 0
    model_name: str | None = None
    body_timeout_s: float = 30.0
    access_log: bool = False
    log_texts: bool = False

    def __post_init__(self) -> None:
        for name in ("max_concurrent_requests", "max_batch_tokens", "max_client_batch_size", "payload_limit"):
            checked_count(name, getattr(self, name), 1)
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable() and self.api_key):
            raise InputValueError("the API key is empty, or holds what no HTTP header can; use printable ASCII")
        if self.api_key is not None and self.api_key != self.api_key.strip():
            raise InputValueError("the API key begins or ends with a space, which HTTP headers lose; leave it out")
        if not self.body_timeout_s > 0:
            raise InputValueError(argument("body_timeout_s", self.body_timeout_s), ": is not above 0 seconds")
