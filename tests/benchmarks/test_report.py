from pathlib import Path
from typing import Any

import pytest
from benchmarks.report import __main__ as publishing
from benchmarks.report import pages as report
from benchmarks.report.charts import named_and_others

ROOT = Path(__file__).resolve().parents[2]


def spread(value: float) -> dict[str, float]:
    return {"median": value, "min": value, "max": value, "rounds": 3}


def made_up(names: list[str]) -> dict[str, Any]:
    """Results for every table and plot, with made-up figures."""
    ratio = {"median": 2.0, "low": 1.5, "high": 2.5}
    peers = [name for name in names if not name.startswith("ours")]
    percentiles = ("p1", "p5", "p10", "p25", "p50", "p75", "p90", "p95", "p99", "p99.9")
    machine = {
        "cpu": "A CPU",
        "usable_cpus": 2,
        "features": ["avx2"],
        "cgroup_quota": None,
        "governor": None,
        "load_average_at_start": [0.1, 0.1, 0.1],
        "os": "Linux",
        "packages": {"numpy": "2.0"},
    }
    rate = {name: spread(1000.0 * (i + 1)) for i, name in enumerate(names)}
    quality = {
        "tasks": {"stsb": {"spearman": 82.0, "pairs": 10}},
        "average": 82.0,
        "alignment": 0.2,
        "uniformity": -2.5,
        "sentences": 20,
    }
    contestants = {name: {"arithmetic": "int8" if "int8" in name else "fp32"} for name in names}
    over_peers = {"ours-int8": dict.fromkeys(peers, ratio)}
    sts = {"sts": quality, "cosine_to_float32": {"mean": 0.999, "min": 0.99}, "drift_with_the_batch": 1e-8}
    versus = {
        "measured": "2026-01-01",
        "machine": machine,
        "absent": {"simcse": "it computes pooler cls, and this model has avg"},
        "contestants": contestants,
        "peak_operations_per_s": {"fp32": spread(2e11), "int8": spread(7e11)},
        "bulk_sentences_per_second": rate,
        "share_of_peak": {name: {"of_peak": "fp32", "share": spread(0.5)} for name in names},
        "bulk_ours_over_peer": over_peers,
    }
    results = {
        "versus-minilm": versus,
        "latency-minilm": {
            "contestants": contestants,
            "one_sentence_ms": {name: dict(zip(percentiles, range(1, 11), strict=True)) for name in names},
            "sentences_a_contestant": 1_000,
            "p50_peer_over_ours": {"ours-int8": {name: {**ratio, "median": 0.5} for name in peers}},
        },
        "lengths-minilm": {
            "lengths": {length: {"tokens_per_second": rate, "peer_over_ours": over_peers} for length in ("8", "16")},
            "absent": {},
            "contestants": contestants,
        },
        "quality-minilm": {"tasks": {"stsb": 10}, "quality": dict.fromkeys(names, sts)},
        **{
            f"memory-{count}-minilm": {
                "count": count,
                "peak_mb_of_one_call": dict.fromkeys(names, peak),
                "command": {"ours-int8": {"peak_mb": peak}},
            }
            for count, peak in ((100_000, 120.0), (1_000, 100.0))
        },
        "cold_start-minilm": {
            "seconds": {
                name: {stage: spread(0.1) for stage in ("import", "load", "encode", "first_vector")} for name in names
            }
        },
        "size": {"environments": {"ours": {"megabytes": 199.0}, "fastembed": {"megabytes": 250.0}}},
        "search-docs-100k": search(ratio, exact=True),
        "search-1m": search(ratio, exact=False),
        "filters-1m": {
            "first_seconds": {"11": spread(0.25)},
            "recall": {"11": 0.9999},
            "batch_over_exact_without": {"11": {**ratio, "median": 0.25}, "none": ratio},
            "one_over_exact_without": {"11": ratio, "none": ratio},
        },
        "kills": {
            "kills": 1_000,
            "lost": 0,
            "interrupted": {"add": 900, "nothing": 100},
            "acknowledged": {"add": 9_000},
        },
        "exact": {
            "sizes": {"5000": {"1": {"over_codes": {"graph": ratio, "floats": {**ratio, "median": 4.0}}}}},
            "coding": {"5000": {"cpu_seconds": 0.02, "bytes_a_vector": 385.5, "left_a_query": 25.75}},
        },
        "graph": {
            "variants": {
                "f16": {
                    "over_ours": {**ratio, "median": 2.25},
                    "cpu_seconds": spread(43.25),
                    "bytes_a_vector": 1_044.0,
                    "by_width": {
                        width: {"recall_at_10": 0.9988, "search_cpu_us_a_query": 544.9}
                        for width in ("128", "192", "256")
                    },
                }
            },
            "rounding": {"real": {"ours": {"20": 0.9975}}},
        },
        "walk": {
            "data": {
                "1m": {
                    "by_width": {
                        width: {
                            way: {"recall_at_10": 0.9991, "cpu_us_a_query": 100.4, "usearch_over_this": ratio}
                            for way in ("usearch", "avx2")
                        }
                        for width in ("128", "192", "256")
                    }
                }
            }
        },
        "filters": {
            "first_use_ms": {
                f"{share}{indexed}": spread(12.2)
                for share in ("4 %, equal", "20 %, a range", "60 %, a range")
                for indexed in ("", ", indexed")
            },
            "add_ms": {"plain": spread(218.4), "indexed": spread(290.1)},
        },
    }
    results["forms"] = {
        **{"checkpoint": "a-model", "pooler": "cls", "pairs": {"stsb": 1_500}},
        "forms": {
            dimensions: {
                dtype: {"stsb": 80.0, "average": 80.0}
                for dtype in ("float32", "float16", "int8", "uint8", "binary", "ubinary")
            }
            for dimensions in ("384", "64")
        },
        "int8": {"one range": {"stsb": 79.5, "average": 79.5}},
    }
    finding = {"recall_at_1": 0.5, "recall_at_10": 0.75, "mrr_at_10": 0.625}
    results["hybrid"] = {
        **{"items": "100,322 of MiniLM", "queries": {"its first half": 1_000}},
        "modes": {"its first half": {"vector": {**finding, "cpu_ms": 0.94}}},
        "joined": {"its first half": {"offset 2": finding}},
    }
    results |= serving(ratio)
    return {name: {"measured": "2026-01-01", "machine": machine, **each} for name, each in results.items()}


def search(ratio: dict[str, float], *, exact: bool) -> dict[str, Any]:
    """Made-up results of `benchmarks.search.recall`."""
    recalls = {"ours, exact": 1.0, "ours, graph": 0.9995, "usearch i8 of ours": 0.97, "faiss hnsw, 128": 0.9991}
    opened = {"open_seconds": 0.0012, "first_search_seconds": 0.096}
    opened |= {"anonymous_bytes_a_vector": 8.0, "mapped_bytes_a_vector": 700.0}
    hnsw = {"recall": 0.998, "candidates": 100.0, "batch": {**ratio, "median": 1.25}, "one": ratio}
    peers = {
        "faiss flat": {"batch": ratio, "one": ratio},
        "faiss hnsw at our recall": hnsw,
        "faiss hnsw at 0.998": hnsw,
    }
    ours = {"default": "exact" if exact else "graph", "exact": opened, "graph": opened}
    built = {"build_cpu_seconds": 34.14, "graph_bytes_a_vector": 660.0, "codes_bytes_a_vector": 388.0}
    return {
        "absent": {} if exact else {"hnswlib": "it is not installed"},
        "built": {"ours": {**built, **ours}, "faiss hnsw": {"build_cpu_seconds": 41.0, "bytes_a_vector": 1_808.0}},
        "recall_at_10": {name: {"mean": mean} for name, mean in recalls.items()},
        "queries_per_second": {name: spread(2_000.0) for name in (*recalls, "ours, graph, without texts")},
        "one_query_ms": {name: {"p50": 1.25} for name in recalls},
        "queries_of_two_threads_over_one": dict.fromkeys(("ours, exact", "ours, graph"), ratio),
        "peer_over_ours": dict.fromkeys(("ours, exact", "ours, graph"), peers),
    }


def serving(ratio: dict[str, float]) -> dict[str, Any]:
    """Made-up results of `benchmarks.serve`."""
    services = ["ours-int8", "fastapi"]
    waits = {"p50": 1.5, "p99": 20.0, "p99.9": 30.0}
    crowd = {
        "requests_per_second": {name: spread(3_000.0) for name in services},
        "ours_over_peer": {"fastapi": ratio},
        "ms": dict.fromkeys(services, waits),
    }
    offered = {"offered_per_second": 500.0, "ms": waits, "generator": {"lag_ms": waits}}
    routes = {"/embed, JSON": ratio}
    return {
        "serve-short": {
            "connections": {"1": crowd, "64": crowd},
            "services": {"ours-int8": {}, "fastapi": {"setting": "one request at a time"}},
            "absent": {"infinity-server": "pip's reason"},
        },
        "serve-batches": {"sentences_a_request": 32, "over_offline": routes, "goal": {"over_offline": 0.8}},
        "serve-alone": {
            "ms": {"Encoder.encode": waits},
            "p50_ms_added": {"/embed, JSON": 0.25},
            "goal": {"p50_ms_added": 0.4},
        },
        "serve-offered": {
            "capacity_per_second": dict.fromkeys(services, 1_000.0),
            "alone_ms": dict.fromkeys(services, waits),
            "offered": {name: {"0.5": offered, "1": {**offered, "offered_per_second": 1_000.0}} for name in services},
            "p99_at_half_load_over_the_lone_p50": dict.fromkeys(services, 3.25),
            "goal": {"p99_at_half_load_over_the_lone_p50": 4.0},
        },
        "serve-overload": {
            **{"capacity_per_second": 100.0, "offered_per_second": 1_000.0, "seconds": 60.0, "ms": waits},
            **{"statuses": {"200": 6_000, "429": 54_000}, "recovery_seconds": 0.5},
            "memory_mb": {"before": 120.0, "after": 126.0},
            "goals": {"recovery_seconds": 1.0, "memory_over_before": 1.1},
        },
        "serve-drain": {"seconds": spread(0.8), "under_way_and_lost": 0},
        "serve-mixed-int8": {
            **{"precision": "int8", "seconds": 600.0, "goal": {"peak_mb": 250}},
            "vectors": {"vectors": 1_000_000, "wrong": 0},
            "memory_mb": {"peak": 180.0},
        },
        "serve-kills": {"kills": 200, "lost": 0, "acknowledged": 5_000},
    }


@pytest.fixture
def results() -> dict[str, Any]:
    return made_up(["ours-int8", "ours-fp32", "fastembed"])


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    blocks = (f"<!-- benchmark:{name} -->\n<!-- /benchmark -->\n" for name in report.TABLES)
    path.write_text("before\n" + "between\n".join(blocks) + "after\n", encoding="utf-8")
    return path


def test_the_repository_is_in_step() -> None:
    assert report.check(report.read_results(publishing.PUBLISHED), publishing.PAGES, publishing.ASSETS) == []


def test_every_table_stands_in_one_page() -> None:
    texts = [page.read_text(encoding="utf-8") for page in publishing.PAGES]
    marks = {name: [text.count(f"<!-- benchmark:{name} -->") for text in texts] for name in report.TABLES}
    assert {name: sum(counts) for name, counts in marks.items()} == dict.fromkeys(report.TABLES, 1)
    assert [name for name, counts in marks.items() if counts[0]] == [
        "readme",
        "readme-lead",
        "readme-search",
        "readme-serve",
    ]


def test_every_peer_has_a_label() -> None:
    catalog = (ROOT / "benchmarks/contest/peers/catalog.py").read_text(encoding="utf-8")
    peers = [name for name in report.tables.LABELS if not name.startswith(("ours", "bare"))]
    assert peers
    assert [name for name in peers if f'    "{name}": ' not in catalog] == []


def test_filling_again_changes_nothing(results: dict[str, Any], page: Path) -> None:
    once = report.filled(page.read_text(encoding="utf-8"), results)
    assert report.filled(once, results) == once
    assert "| ours, FP32 | 2,000 | 50% of fp32 |  | 5.0 | 9.0 | 10.0 |  |" in once
    assert "| 2.00 [1.50, 2.50] | 5.0 | 9.0 | 10.0 | 0.50 [1.50, 2.50] |" in once
    assert "One at a time: 1,000 sentences each." in once
    assert "GEMM peaks 200 GFLOP/s fp32, 700 GOP/s int8" in once
    assert "| peak MB, 1,000 sentences | peak MB, 100,000 sentences |" in once
    assert "`simcse-engine encode`, INT8: 1,000 lines 100 MB, 100,000 lines 120 MB." in once
    assert "Absent: simcse, torch FP32: it computes pooler cls" in once
    assert "| ours, exact | 1.0000 | 2,000 | 1.25 |" in once
    assert "| ours, ANN graph, without texts |  | 2,000 |  |" in once
    assert "| USearch i8 on our graph, unscored | 0.9700 | 2,000 | 1.25 |" in once
    assert "| FAISS HNSW, 128 candidates | 0.9991 | 2,000 | 1.25 |" in once
    both = "2.00 [1.50, 2.50] | 2.00 [1.50, 2.50] | 1.25 [1.50, 2.50] | 2.00 [1.50, 2.50]"
    assert f"| 100,000 real, exact | 1.0000 | {both} |" in once
    assert f"| 1,000,000 made-up, graph | 0.9995 | {both} |" in once
    assert "| 100,000 real: ours, exact by default | 34.1 | 660 + 388 | 8 + 700 | 1.2 | 96 |" in once
    assert "| 100,000 real: FAISS HNSW | 41.0 | 1,808 |  |  |  |" in once
    assert "| 11 % | 0.25 [1.50, 2.50] | 2.00 [1.50, 2.50] | 250 | 0.9999 |" in once
    assert "| 1,000,000 made-up: speed over FAISS HNSW's at 0.9980, batches | 1.25 [1.50, 2.50] | ≥ 1.1 |" in once
    assert "| 100,000 real: bytes a vector in memory beside the vectors' file | 8 | ≤ 700 |" in once
    assert once.count("Absent: hnswlib: it is not installed.") == 1
    assert "| vectors | ANN graph, 1 query | float32, 1 query |" in once
    assert "| 5,000 | 2.00 [1.50, 2.50] | 4.00 [1.50, 2.50] |" in once
    assert "in the middle of 900 additions. Of what was acknowledged (9,000 additions) nothing was lost. A CPU," in once
    assert "| lost of what was acknowledged, 1,000 writers killed | 0 | 0 |" in once
    assert "Among 100,000 sentences, the default search, texts included, finds all of the ten nearest, and is" in once
    assert "finds 99.95% of the ten nearest, and is in batches of 100 2.00 times as fast as FAISS's exact index" in once
    assert "| ours, INT8 | 1,000 | 100 | 199 | 82.00 | 1e-08 |" in once
    assert "| CTranslate2, INT8 | – | – | – | – | – |" in once
    assert "| MiniLM, bulk at 16 tokens | 2.00 [1.50, 2.50] FastEmbed |  |  |" in once
    assert "- MiniLM, one, INT8: FastEmbed takes 0.50 [1.50, 2.50] of our time" not in once
    assert "2.00 in bulk on MiniLM, 0.50 for one sentence on MiniLM, 2.00 to 2.00 where all texts have" in once
    assert "| FastAPI + sentence-transformers | 3,000 | 3,000 | 1.5 | 20.0 | 30.0 | 2.00 [1.50, 2.50] |" in once
    assert "Best settings: FastAPI + sentence-transformers: one request at a time." in once
    assert "Absent: Infinity: pip's reason." in once
    assert "| ours, INT8 | 1,000 | 1.5 / 20.0 | 1.5 / 20.0 | 20.0 |" in once
    assert "(assets/serving.svg)" in once
    assert "| ours, INT8: p99 at half load over the lone request's p50 (1.50 ms) | 3.2 | ≤ 4 |" in once
    assert "| 10 times the capacity for 60 s: statuses | 200: 6,000, 429: 54,000 | 200 and 429 |" in once
    assert "| 10 minutes of mixed load, INT8: wrong vectors | 0 of 1,000,000 | 0 |" in once
    assert "| 64 | 80.00, 256 B | 80.00, 128 B | 80.00, 64 B | 80.00, 64 B | 80.00, 8 B |" in once
    assert "| one range | 79.50 | 79.50 |" in once
    assert "| its first half, 1,000 queries: vector | 0.500 | 0.750 | 0.625 | 0.9 |" in once
    assert "| `f16` | 2.25 (43.2 s) | 1,044 | 0.9988, 545 | 0.9988, 545 | 0.9988, 545 |" in once
    assert "| real | 0.998 |" in once
    assert "| 5,000 | 0.02 | 386 | 26 |" in once
    assert "| SQLite's part of adding them | 218 | 290 |" in once
    assert "| offset 2 | 0.625, 0.750 |" in once
    assert "Spearman x 100 of a-model, pooler cls: stsb (1,500 pairs). 2026-01-01." in once
    assert once.startswith("before\n")
    assert once.endswith("after\n")


def test_another_machine_is_named(results: dict[str, Any], page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "another machine" not in report.filled(text, results)
    results["quality-minilm"]["machine"] = {**results["quality-minilm"]["machine"], "cpu": "Another CPU"}
    note = "Measured on another machine: quality-minilm on Another CPU, 2026-01-01."
    assert report.filled(text, results).count(note) == 1


def test_another_figure_is_seen(results: dict[str, Any], page: Path, tmp_path: Path) -> None:
    page.write_text(report.filled(page.read_text(encoding="utf-8"), results), encoding="utf-8")
    for name, (select, _) in report.CHARTS.items():
        (tmp_path / f"{name}.svg").write_text(f"<svg/>{report._stamp(select(results))}", encoding="utf-8")
    assert report.check(results, [page], tmp_path) == []
    results["latency-minilm"]["one_sentence_ms"]["fastembed"]["p50"] = 7.7
    wrong = report.check(results, [page], tmp_path)
    assert wrong == [
        "page.md: the block speed-minilm is not what the results say",
        "latency.svg: drawn from other figures",
    ]


def test_a_peer_that_failed_on_the_way(results: dict[str, Any], page: Path) -> None:
    lengths = results["lengths-minilm"]
    rates = lengths["lengths"]["16"]["tokens_per_second"]
    left = {name: rates[name] for name in rates if name != "fastembed"}
    lengths["lengths"]["16"] = {"tokens_per_second": left, "peer_over_ours": {"ours-int8": {}}}
    lengths["absent"] = {"fastembed": "its process ended with -9"}
    text = report.filled(page.read_text(encoding="utf-8"), results)
    assert "| FastEmbed | 375 |  |" in text
    assert "Absent: FastEmbed: its process ended with -9." in text
    assert report.CHARTS["lengths"][0](results)["fastembed"] == {"8": 3000.0}


def test_what_was_not_measured_says_so(page: Path, tmp_path: Path) -> None:
    text = report.filled(page.read_text(encoding="utf-8"), {})
    assert text.count(report.tables.MISSING) == len(report.TABLES.keys() - report.gpu_tables.TABLES.keys())
    assert report.printed({}) == ""
    page.write_text(text, encoding="utf-8")
    assert report.check({}, [page], tmp_path) == []


def test_a_plot_without_figures_or_a_missing_one_is_seen(results: dict[str, Any], page: Path, tmp_path: Path) -> None:
    page.write_text(report.filled(page.read_text(encoding="utf-8"), results), encoding="utf-8")
    assert "memory.svg: missing" in report.check(results, [page], tmp_path)
    (tmp_path / "memory.svg").write_text("<svg/>", encoding="utf-8")
    del results["memory-1000-minilm"], results["memory-100000-minilm"]
    assert "memory.svg: there are no figures for it" in report.check(results, [page], tmp_path)


def test_a_plot_names_six_contestants_at_most() -> None:
    costs = {
        name: i for i, name in enumerate(["a", "b", "ours-int8", "c", "d", "e", "sentence-transformers-fp32", "f"])
    }
    named, others = named_and_others(costs, costs.__getitem__)
    assert named == ["a", "b", "ours-int8", "c", "d", "sentence-transformers-fp32"]
    assert others == ["e", "f"]
    assert named_and_others({"ours-int8": 1}, lambda _: 1) == (["ours-int8"], [])


def test_plots_are_the_same_every_time(results: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    drawn = []
    for folder in (tmp_path / "once", tmp_path / "again"):
        report.draw(results, folder)
        drawn.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert len(drawn[0]) == len(report.CHARTS)
    assert drawn[0] == drawn[1]
