"""What a GPU reached beside what it should; nothing that did not run looks as if it had."""

from typing import Any

import pytest
from benchmarks.report.gpu_tables import NOT_RUN, called, goals, lengths, speed


def ratio(median: float) -> dict[str, float]:
    return {"median": median, "low": median - 0.1, "high": median + 0.1}


def bulk(over: dict[str, float]) -> dict[str, Any]:
    names = ("ours", *over)
    return {
        "sentences_per_second": {name: {"median": 1_000.0 * (i + 1)} for i, name in enumerate(names)},
        "ours_over_peer": {name: ratio(median) for name, median in over.items()},
        "absent": {"sentence-transformers-fp16": "ModuleNotFoundError: no"},
    }


@pytest.fixture
def results() -> dict[str, Any]:
    texts = bulk({"torch-fp16": 3.0, "torch-unpadded-bf16": 2.5})
    compiled = bulk({"torch-unpadded-fp16-compiled": 2.25})
    answers = {
        "texts": texts,
        "compiled": {**compiled, "ids": bulk({"torch-unpadded-fp16-compiled": 1.25})},
        "ids": bulk({"torch-fp16": 1.5}),
        "one": {
            "ms": {"ours": {"p50": 0.35, "p99": 0.5, "p99.9": 0.75}, "torch-fp16": {"p50": 1, "p99": 2, "p99.9": 3}},
            "p50_peer_over_ours": {"torch-fp16": ratio(4.0), "sentence-transformers-fp16": ratio(2.0)},
        },
        "memory": {"batches": 10_000, "growth_mb": 4.2},
        "checks": {"agreement": {"one_minus_min_cosine": 3e-6}},
    }
    at = {"share_of_matrix_peak": {"ours": {"median": 0.4}, "torch-fp16": {"median": 0.3}}}
    about = {"gpu": "a GPU", "measured": "2026-01-01"}
    return {
        "gpu-contest-minilm": {**about, "answers": answers},
        "gpu-contest-bert-base": {**about, "answers": {"lengths": {"lengths": {"16": at, "128": at}}}},
    }


def test_goals(results: dict[str, Any]) -> None:
    text = goals(results)
    best = "2.25 [2.15, 2.35] (transformers, unpadded, fp16, compiled)"
    assert f"| MiniLM: from texts, over the best of torch and sentence-transformers | {best} | ≥ 2 |" in text
    assert "| MiniLM: from token ids, over the best of torch | 1.25 [1.15, 1.35]" in text
    assert "| BERT-base: from texts, over the best of torch and sentence-transformers | not run | ≥ 1.5 |" in text
    assert "| BERT-base: share of the float16 peak at 128 tokens | 40% | ≥ 35 % |" in text
    assert "p50 over torch's | 0.25 |" in text
    assert "| MiniLM: one sentence, p50 | 0.35 ms | ≤ 0.4 ms |" in text
    assert "| 4 MB in 10,000 batches |" in text
    assert "| MiniLM: 1 - least cosine to float32 | 3.0e-06 |" in text
    assert text.endswith("a GPU, 2026-01-01.")


def test_without_a_run_nothing_is_reached() -> None:
    rows = goals({}).splitlines()[2:]
    assert len(rows) == 10
    assert all("| not run |" in row for row in rows)
    assert speed({}, "minilm") == lengths({}) == NOT_RUN


def test_speed(results: dict[str, Any]) -> None:
    text = speed(results, "minilm")
    assert "| ours | 1,000 |  | 1,000 |  | 0.35 | 0.50 | 0.75 |" in text
    assert "| transformers, fp16 | 2,000 | 3.00 [2.90, 3.10] | 2,000 | 1.50 [1.40, 1.60] | 1.00 | 2.00 | 3.00 |" in text
    assert "| transformers, unpadded, bf16 | 3,000 | 2.50 [2.40, 2.60] | – |  | – | – | – |" in text
    assert "Absent: sentence-transformers, fp16: ModuleNotFoundError: no." in text
    del results["gpu-contest-minilm"]["answers"]["one"]
    assert "| ours | 1,000 |  | 1,000 |  | not run | not run | not run |" in speed(results, "minilm")


def test_shares_by_length(results: dict[str, Any]) -> None:
    assert "| share of the peak at … tokens | 16 | 128 |" in lengths(results)
    assert "| BERT-base: ours | 0.40 | 0.40 |" in lengths(results)


def test_names_for_people() -> None:
    assert called("ours") == "ours"
    assert called("torch-unpadded-bf16-compiled") == "transformers, unpadded, bf16, compiled"
    assert called("sentence-transformers-unpadded-fp16") == "sentence-transformers, unpadded, fp16"
