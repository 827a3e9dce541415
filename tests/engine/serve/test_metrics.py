"""What Prometheus reads."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from simcse_engine import Encoder, Index
from simcse_engine.serve import ServeOptions
from simcse_engine.serve.application import Application
from simcse_engine.serve.service import Service

TOO_LONG = "a b " * 100
NAMES = {
    *("simcse_requests", "simcse_request_seconds", "simcse_requests_under_way", "simcse_texts", "simcse_tokens"),
    *("simcse_queue_tokens", "simcse_queue_limit_tokens", "simcse_queue_seconds", "simcse_run_tokens"),
    *("simcse_tokenization_seconds", "simcse_inference_seconds", "simcse_truncated_texts"),
    *("simcse_rejected_requests", "simcse_cache_hits", "simcse_cache_misses", "simcse_cache_bytes"),
    *("simcse_ready", "simcse_info"),
}


@pytest.fixture(scope="module")
def service(start: Any) -> Any:
    return start(cache_bytes=1_000_000, model_name="tiny")


def test_names(service: Any) -> None:
    families = {each.name: each for each in text_string_to_metric_families(service.get("/metrics").content.decode())}
    assert {name for name in families if name.startswith("simcse_") and not name.endswith("_created")} == NAMES
    (about,) = families["simcse_info"].samples
    assert about.labels["model"] == "tiny"
    assert about.labels["precision"] == "fp32"
    assert "process_resident_memory_bytes" in families


def test_counts(service: Any) -> None:
    values = [service.metric(f"simcse_{name}_total") for name in ("texts", "truncated_texts", "cache_hits")]
    tokens = service.metric("simcse_tokens_total")
    answer = service.post("/embed", {"inputs": ["a", "some one", TOO_LONG], "truncate": True})
    assert answer.headers["x-truncated"] == "1"
    service.post("/embed", {"inputs": "a"})
    after = [service.metric(f"simcse_{name}_total") for name in ("texts", "truncated_texts", "cache_hits")]
    assert [b - a for a, b in zip(values, after, strict=True)] == [4, 1, 1]
    assert service.metric("simcse_tokens_total") - tokens == int(answer.headers["x-compute-tokens"]) + 3
    assert service.metric("simcse_cache_bytes") > 0
    assert service.metric("simcse_ready") == 1
    assert service.metric("simcse_queue_tokens") == 0
    assert service.metric("simcse_run_tokens_count") >= 1
    assert service.metric("simcse_inference_seconds_sum") > 0


def test_an_index_that_cannot_be_read_hides_nothing_else(artifact: Path, tmp_path: Path) -> None:
    with Encoder(artifact, threads=1) as encoder:
        index = Index.create(tmp_path / "index", encoder)
        metrics = Application(Service(encoder, index, ServeOptions())).service.metrics
        assert b"simcse_index_entries 0" in metrics.text()
        index.close()
        assert b"simcse_ready 1" in metrics.text()
        assert b"simcse_index_entries" not in metrics.text()


def test_each_answer_counts_once(service: Any) -> None:
    for _ in range(3):
        service.post("/embed", {"inputs": 3})
    service.get("/no/such/path")
    service.get("/nor/this")
    assert service.metric('simcse_requests_total{route="/embed",status="422"}') == 3
    assert service.metric('simcse_requests_total{route="other",status="404"}') == 2
    assert service.metric('simcse_request_seconds_count{route="other"}') == 2
