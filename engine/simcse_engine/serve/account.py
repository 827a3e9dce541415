"""Account: what is counted, logged and told of each request."""

import logging
import time

from ..errors import SimCSEError
from .http.messages import Header, Request
from .logs import failure, log
from .routes.route import Route
from .service import Service


class Account:
    """Keeps a service's metrics and its log, request by request."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def encoded(self, request: Request, seconds: float) -> list[Header]:
        """Count what was encoded for a request, and say it in headers; times are in milliseconds."""
        tokens, cut, queue_s, tokenization_s, inference_s, count = 0, 0, 0.0, 0.0, 0.0, 0
        for each in request.encoded:
            count += len(each.tokens)
            tokens += sum(each.tokens)
            cut += len(each.cut)
            queue_s += each.queue_s
            tokenization_s += each.tokenization_s
            inference_s += each.inference_s
        self._service.metrics.encoded(count, tokens, cut, queue_s)
        return [
            (b"x-total-time", b"%.2f" % (1e3 * seconds)),
            (b"x-queue-time", b"%.2f" % (1e3 * queue_s)),
            (b"x-tokenization-time", b"%.2f" % (1e3 * tokenization_s)),
            (b"x-inference-time", b"%.2f" % (1e3 * inference_s)),
            (b"x-compute-tokens", b"%d" % tokens),
            (b"x-compute-characters", b"%d" % request.characters),
            (b"x-truncated", b"%d" % cut),
        ]

    def failed(self, route: Route | None, request: Request, error: BaseException) -> None:
        """Log why a request failed. Errors of the engine's own quote no texts."""
        options = self._service.options
        log(
            logging.ERROR,
            "failure",
            request_id=request.id,
            route=request.path[:100] if route is None else route.path,
            texts=request.texts or None,
            **failure(error, with_message=options.log_texts or isinstance(error, SimCSEError)),
        )

    def left(self, route: Route | None, request: Request) -> None:
        """Count a request whose client has left, by nginx's number for it: there was no answer."""
        self.answered(route, request, 499, time.perf_counter() - request.began)

    def answered(self, route: Route | None, request: Request, status: int, seconds: float) -> None:
        """Count a request, and log it where it failed, or where all are logged."""
        service = self._service
        service.metrics.answered("other" if route is None else route.path, status, seconds)
        guarded = route is not None and route.guarded
        # Probes ask again and again while it starts.
        failed = status >= 500 and (guarded or status == 500)
        if failed or service.options.access_log:
            log(
                logging.ERROR if failed else logging.INFO,
                "request",
                request_id=request.id,
                method=request.method,
                route=request.path[:100] if route is None else route.path,
                status=status,
                seconds=round(seconds, 6),
                count=sum(len(each.tokens) for each in request.encoded) or None,
                tokens=sum(sum(each.tokens) for each in request.encoded) or None,
                texts=request.texts or None,
            )
