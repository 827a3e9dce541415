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
    scored = quality["quality"]
    rates = speed["bulk_sentences_per_second"]
    return {name: [rates[name]["median"], scored[name]["sts"]["average"]] for name in rates if name in scored}


def latency(results: Results) -> Any:
    found = results.get("latency-minilm")
    return None if found is None else found["one_sentence_ms"]


def lengths(results: Results) -> Any:
    found = results.get("lengths-minilm")
    if found is None:
        return None
    columns = found["lengths"]
    names = next(iter(columns.values()))["tokens_per_second"]
    # A peer that failed on the way has figures of the lengths before.
    return {
        name: {n: rates[name]["median"] for n, at in columns.items() if name in (rates := at["tokens_per_second"])}
        for name in names
    }


def memory(results: Results) -> Any:
    """By contestant and number of sentences; of those that have a figure for each number."""
    measured = memories(results)
    if not measured:
        return None
    calls = {count: found["peak_mb_of_one_call"] for count, found in measured.items()}
    names = [name for name in next(iter(calls.values())) if all(name in each for each in calls.values())]
    return {name: {str(count): each[name] for count, each in calls.items()} for name in names}


def memories(results: Results) -> dict[int, Any]:
    """The results of `memory.py`, by the number of sentences, the smallest first."""
    found = (each for name, each in results.items() if name.startswith("memory-") and name.endswith("-minilm"))
    return {each["count"]: each for each in sorted(found, key=lambda each: each["count"])}


def cold_start(results: Results) -> Any:
    found = results.get("cold_start-minilm")
    if found is None:
        return None
    stages = ("import", "load", "encode")
    return {name: {stage: each[stage]["median"] for stage in stages} for name, each in found["seconds"].items()}


# Each selects its figures from the results: None where a result is missing.
CHARTS: dict[str, tuple[Callable[[Results], Any], str]] = {
    "throughput-quality": (throughput_quality, "Sentences a second in bulk against the average STS Spearman, MiniLM"),
    "latency": (latency, "One sentence alone, MiniLM: ms, median / p99 / p99.9"),
    "lengths": (lengths, "Tokens a second in bulk by the length of the texts, MiniLM"),
    "memory": (memory, "Peak memory by the number of sentences in one call, MiniLM"),
    "cold-start": (cold_start, "Seconds from a process's start to its first vector, MiniLM"),
}
