"""Metrics: what Prometheus reads of a service."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from ..errors import SimCSEError

if TYPE_CHECKING:
    from ..batching import Run
    from .service import Service

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TOKENS = tuple(2.0**power for power in range(3, 16))


class Metrics:
    """A service's metrics, in a registry of their own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "simcse_requests", "Requests that were answered", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "simcse_request_seconds",
            "From a request's headers to its answer",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._texts = Counter("simcse_texts", "Texts of requests that were encoded", registry=registry)
        self._tokens = Counter("simcse_tokens", "Tokens of those texts", registry=registry)
        self._cut = Counter("simcse_truncated_texts", "Texts that were cut", registry=registry)
        self._rejected = Counter(
            "simcse_rejected_requests", "Requests that were refused for load", ["reason"], registry=registry
        )
        self._queue = Histogram(
            "simcse_queue_seconds", "Until a request's texts were taken up", buckets=_SECONDS, registry=registry
        )
        self._run_tokens = Histogram(
            "simcse_run_tokens", "Tokens that ran together", buckets=_TOKENS, registry=registry
        )
        self._tokenization = Histogram(
            "simcse_tokenization_seconds", "Tokenization of a run", buckets=_SECONDS, registry=registry
        )
        self._inference = Histogram(
            "simcse_inference_seconds", "The graph's part of a run", buckets=_SECONDS, registry=registry
        )
        # Labels are looked up once: of each route and status, what counts its requests and their seconds.
        self._children: dict[tuple[str, int], tuple[Callable[[], None], Callable[[float], None]]] = {}
        for reason in ("queue", "concurrency", "bodies", "starting", "failed", "ending"):
            self._rejected.labels(reason)
        ProcessCollector(registry=registry)

    def attach(self, service: "Service", under_way: Callable[[], int]) -> None:
        """Read the rest off a service whenever somebody asks."""
        manifest = service.encoder.manifest
        labels = {
            "model": service.model_name,
            "identity": manifest.identity,
            "precision": manifest.precision,
            "kernels": service.encoder.kernels or "none",
        }
        Gauge("simcse_info", "What is served", list(labels), registry=self._registry).labels(**labels).set(1)
        self._registry.register(_State(service, under_way))

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        children = self._children.get((route, status))
        if children is None:
            count, seconds_of = self._requests.labels(route, str(status)), self._seconds.labels(route)
            children = self._children[route, status] = (count.inc, seconds_of.observe)
        children[0]()
        children[1](seconds)

    def encoded(self, texts: int, tokens: int, cut: int, queue_s: float) -> None:
        """Count a request's texts."""
        self._texts.inc(texts)
        self._tokens.inc(tokens)
        self._queue.observe(queue_s)
        if cut:
            self._cut.inc(cut)

    def rejected(self, reason: str) -> None:
        """Count a request that was refused for load."""
        self._rejected.labels(reason).inc()

    def ran(self, run: "Run") -> None:
        """Count a run of the batcher, on the thread that ran it."""
        self._run_tokens.observe(run.tokens)
        self._tokenization.observe(run.tokenization_s)
        self._inference.observe(run.inference_s)

    def text(self) -> bytes:
        """All of them as Prometheus reads them. It reads files: not for the event loop."""
        return generate_latest(self._registry)


class _State(Collector):
    """What a service is at, read when somebody asks."""

    def __init__(self, service: "Service", under_way: Callable[[], int]) -> None:
        self._service = service
        self._under_way = under_way

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Its gauges, and the counts that it keeps itself."""
        service = self._service
        yield _gauge("simcse_requests_under_way", "Requests under way", self._under_way())
        yield _gauge("simcse_queue_tokens", "Tokens that wait or run", service.batching.queued_tokens)
        limit = service.batching.max_queued_tokens
        if limit is not None:
            yield _gauge("simcse_queue_limit_tokens", "With so many, requests get 429", limit)
        yield _gauge("simcse_ready", "1 once it is warm", int(service.ready))
        if service.index is not None:
            # A damaged or closed index is no reason to know nothing of the rest.
            with contextlib.suppress(SimCSEError, OSError):
                yield _gauge("simcse_index_entries", "Entries of the index", len(service.index))
        cache = service.batching.cache
        hits, misses, size = (0, 0, 0) if cache is None else (cache.hits, cache.misses, cache.bytes)
        yield CounterMetricFamily("simcse_cache_hits", "Texts that the cache knew", value=hits)
        yield CounterMetricFamily("simcse_cache_misses", "Texts that it did not know", value=misses)
        yield _gauge("simcse_cache_bytes", "Memory of the cache", size)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)
