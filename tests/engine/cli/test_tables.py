from simcse_engine.cli.bench import bench_table
from simcse_engine.cli.evaluate import quality_table
from simcse_engine.measure.quality import Quality, TaskQuality
from simcse_engine.measure.results import Bench, Latency, Spread, Throughput

TASKS = {"stsb-dev": TaskQuality(spearman=85.678, pairs=1500), "x": TaskQuality(spearman=-3.2, pairs=2)}


def test_quality() -> None:
    found = Quality(tasks=TASKS, average=41.239, alignment=0.30094, uniformity=-3.5413, sentences=2900)
    assert quality_table(found).splitlines() == [
        "task           pairs  Spearman x 100",
        "stsb-dev       1,500           85.68",
        "x                  2           -3.20",
        "average                        41.24",
        "alignment                      0.301  over pairs with a score above 4; smaller is better",
        "uniformity                    -3.541  over 2,900 distinct sentences; smaller is better",
    ]


def test_quality_without_positive_pairs_and_with_a_sample() -> None:
    table = quality_table(Quality(tasks=TASKS, average=1, alignment=None, uniformity=-3, sentences=20_000))
    assert "alignment                          -  over" in table
    assert "over a sample of 16,384 of 20,000 distinct sentences" in table


def entry(tokens: float, efficiency: Spread | None) -> Throughput:
    rate = Spread(median=2000, min=1900.4, max=2100)
    return Throughput(
        rounds=5,
        sentences_per_round=100,
        tokens_per_sentence=tokens,
        sentences_per_s=rate,
        tokens_per_s=Spread(median=16_000, min=1, max=2),
        executed_flops_per_token=None,
        efficiency=efficiency,
        executed_efficiency=efficiency,
    )


def bench(peak: dict[str, object] | None, efficiency: Spread | None) -> str:
    return bench_table(
        Bench(
            artifact={"path": "a", "source": "tiny", "pooler": "cls", "precision": "fp32", "target": "cpu"},
            machine={"cpu": "A CPU", "threads": 2, "onnxruntime": "1.22.0"},
            seconds=1,
            texts_source="generated",
            texts_cut=0 if peak else 7,
            peak=peak,
            flops_per_token=None,
            lengths=[entry(8, efficiency)],
            texts=entry(17.25, efficiency),
            latency=Latency(calls=1234, p50_ms=1.5, p90_ms=2, p99_ms=3, p99_9_ms=4),
        )
    )


def test_bench() -> None:
    peak = {"operator": "MatMul", "rows": 512, "inner": 768, "columns": 3072}
    peak["operations_per_s"] = Spread(median=493e9, min=478e9, max=506e9)
    assert bench(peak, Spread(median=0.954, min=0.9, max=1)).splitlines() == [
        "a: tiny, pooler cls, fp32 for cpu",
        "A CPU, 2 threads, onnxruntime 1.22.0",
        "",
        "                 sentences/s         (min - max)    tokens/s   of the peak   executed",
        "8 tokens               2,000     (1,900 - 2,100)      16,000           95%        95%",
        "texts                  2,000     (1,900 - 2,100)      16,000           95%        95%",
        "",
        "texts: generated, 17.2 tokens on average",
        "one text at a time: p50 1.50 ms, p90 2.00, p99 3.00, p99.9 4.00 (1,234 calls)",
        "peak: 493 Gop/s (478 - 506), onnxruntime's MatMul [512, 768] x [768, 3072] on 2 threads",
    ]


def test_bench_without_a_peak() -> None:
    table = bench(None, None)
    assert "16,000             -          -" in table
    assert "peak: not measured" in table
    assert "17.2 tokens on average, 7 of them cut" in table
