"""Which figures each plot shows, and which contestants it names. `plots.py` draws them."""

from collections.abc import Callable, Mapping
from typing import Any

Results = Mapping[str, Any]

# Contestants with a name in a plot, at most; the table beside it names all.
_NAMED, _USUAL = 6, "sentence-transformers-fp32"


def named_and_others(data: Mapping[str, Any], cost: Callable[[str], float]) -> tuple[list[str], list[str]]:
    """The contestants that a plot names, and those that it draws as one group; the best of each first.

    Ours and the usual library have names, and then the best peers.
    """
    ranked = sorted(data, key=cost)
    first = [name for name in ranked if name.startswith("ours") or name == _USUAL]
    named = [*first, *(name for name in ranked if name not in first)][:_NAMED]
    return sorted(named, key=cost), [name for name in ranked if name not in named]


def throughput_quality(results: Results) -> Any:
    speed, quality = results.get("versus-minilm"), results.get("quality-minilm")
    if speed is None or quality is None or not quality["tasks"]:
        return None
    rates, scores = speed["bulk_sentences_per_second"], quality["quality"]
    return {name: [rates[name]["median"], scores[name]["sts"]["average"]] for name in rates if name in scores}


def latency(results: Results) -> Any:
    result = results.get("latency-minilm")
    return result and result["one_sentence_ms"]


def lengths(results: Results) -> Any:
    result = results.get("lengths-minilm")
    if result is None:
        return None
    columns = {length: at["tokens_per_second"] for length, at in result["lengths"].items()}
    # A peer that failed on the way has figures of the lengths before.
    return {
        name: {length: rates[name]["median"] for length, rates in columns.items() if name in rates}
        for name in next(iter(columns.values()))
    }


def memory(results: Results) -> Any:
    """By contestant and number of sentences, for those that have a figure for each number."""
    calls = {str(count): result["peak_mb_of_one_call"] for count, result in memories(results).items()}
    if not calls:
        return None
    names = [name for name in next(iter(calls.values())) if all(name in each for each in calls.values())]
    return {name: {count: each[name] for count, each in calls.items()} for name in names}


def memories(results: Results) -> dict[int, Any]:
    """The results of `contest.memory`, by the number of sentences, the smallest first."""
    measured = [each for name, each in results.items() if name.startswith("memory-") and name.endswith("-minilm")]
    return {each["count"]: each for each in sorted(measured, key=lambda each: each["count"])}


def cold_start(results: Results) -> Any:
    result = results.get("cold_start-minilm")
    if result is None:
        return None
    stages = ("import", "load", "encode")
    return {name: {stage: each[stage]["median"] for stage in stages} for name, each in result["seconds"].items()}


def serving(results: Results) -> Any:
    """By service, for each load the requests a second that arrive, and the milliseconds p50 and p99."""
    result = results.get("serve-offered")
    if result is None:
        return None
    return {
        name: [
            [at["offered_per_second"], at["ms"]["p50"], at["ms"]["p99"]] for at in loads.values() if "p50" in at["ms"]
        ]
        for name, loads in result["offered"].items()
    }


# Each selects its figures from the results: None where a result is missing.
CHARTS: dict[str, tuple[Callable[[Results], Any], str]] = {
    "throughput-quality": (throughput_quality, "Sentences a second in bulk against the average STS Spearman, MiniLM"),
    "latency": (latency, "One sentence alone, MiniLM: ms, median / p99 / p99.9"),
    "lengths": (lengths, "Tokens a second in bulk by the length of the texts, MiniLM"),
    "memory": (memory, "Peak memory by the number of sentences in one call, MiniLM"),
    "cold-start": (cold_start, "Seconds from a process's start to its first vector, MiniLM"),
    "serving": (serving, "A request's wait by the requests that arrive, one sentence each, MiniLM"),
}
