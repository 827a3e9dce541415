"""The tables of docs/gpu.md: what a GPU reached beside what it should, and the contestants' speed."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from .tables import DASH, ratio, table

Results = Mapping[str, Any]

NOT_RUN = "*Not run on a GPU yet; `python -m benchmarks.gpu` does it.*"
_MODELS = {"minilm": "MiniLM", "bert-base": "BERT-base"}
_NOT_RUN = "not run"
_BULK = {"minilm": "≥ 2", "bert-base": "≥ 1.5"}
# Questions whose answers hold contestants against each other in bulk.
_TEXTS = ("texts", "compiled", "further-compiled")
_PEAK_LENGTH = "128"


def goals(results: Results) -> str:
    """What a GPU reaches, beside what it should; "not run" where no run has answered the question."""
    lines = [table(("", "reached", "goal"), _goals(results))]
    return "\n".join([*lines, *_about(results)])


def _goals(results: Results) -> Iterator[tuple[str, str, str]]:
    for model, what in _MODELS.items():
        answers = _answers(results, model)
        texts = [each["ours_over_peer"] for name in _TEXTS if (each := answers.get(name))]
        # A short run asks no compiled peers, which may be faster.
        best = "the best" if not texts or "compiled" in answers else "the best that is not compiled"
        yield f"{what}: from texts, over {best} of torch and sentence-transformers", _least(texts), _BULK[model]
        ids = [answers[name].get("ids", answers[name]) for name in ("ids", *_TEXTS[1:]) if name in answers]
        yield (
            f"{what}: from token ids, over the best of torch",
            _least([each["ours_over_peer"] for each in ids]),
            "≥ 1.3",
        )
    lengths = _answers(results, "bert-base").get("lengths")
    share = lengths and lengths["lengths"][_PEAK_LENGTH]["share_of_matrix_peak"]["ours"]["median"]
    yield f"BERT-base: share of the float16 peak at {_PEAK_LENGTH} tokens", _told(share, "{:.0%}"), "≥ 35 %"
    answers = _answers(results, "minilm")
    one = answers.get("one", {})
    torch = [each["median"] for name, each in one.get("p50_peer_over_ours", {}).items() if name.startswith("torch")]
    yield "MiniLM: one sentence, p50 over torch's", _told(1 / min(torch) if torch else None, "{:.2f}"), "≤ 0.5"
    yield "MiniLM: one sentence, p50", _told(one["ms"]["ours"]["p50"] if one else None, "{:.2f} ms"), "≤ 0.4 ms"
    memory = answers.get("memory")
    growth = memory and f"{memory['growth_mb']:,.0f} MB in {memory['batches']:,} batches"
    yield "MiniLM: growth of the GPU's memory", growth or _NOT_RUN, "≤ 67 MB in 10,000 batches"
    for model, what in _MODELS.items():
        checks = _answers(results, model).get("checks", {})
        yield f"{what}: 1 - least cosine to float32", _told(_difference(checks), "{:.1e}"), "≤ 1e-4"


def speed(results: Results, model: str) -> str:
    """Sentences a second from texts, tokens a second from token ids, and one sentence alone."""
    answers = _answers(results, model)
    texts = _merged(answers, _TEXTS, lambda each: each)
    ids = _merged(answers, ("ids", *_TEXTS[1:]), lambda each: each.get("ids", each))
    waits = answers.get("one", {}).get("ms", {})
    names = dict.fromkeys((*texts, *ids, *waits))
    if not names:
        return NOT_RUN
    rows = []
    for name in sorted(names, key=lambda name: -texts.get(name, {}).get("rate", 0)):
        text, each, wait = texts.get(name, {}), ids.get(name, {}), waits.get(name, {})
        rows.append(
            (
                called(name),
                _cell(texts, text.get("rate"), "{:,.0f}"),
                ratio(text.get("ratio")),
                _cell(ids, each.get("rate"), "{:,.0f}"),
                ratio(each.get("ratio")),
                *(_cell(waits, wait.get(rank), "{:.2f}") for rank in ("p50", "p99", "p99.9")),
            )
        )
    head = ("", "from texts, sentences/s", "ours over it", "from ids, sentences/s", "ours over it")
    missing = {name: why for answer in answers.values() for name, why in answer.get("absent", {}).items()}
    notes = [f"Absent: {called(name)}: {why}." for name, why in sorted(missing.items())]
    lines = [table((*head, "one, p50 ms", "p99", "p99.9"), rows), *(["", *notes] if notes else [])]
    return "\n".join([*lines, *_about(results, model)])


def lengths(results: Results) -> str:
    """The share of the float16 peak by length, from token ids."""
    rows = []
    columns: list[str] = []
    for model, what in _MODELS.items():
        answer = _answers(results, model).get("lengths")
        if answer is None:
            continue
        columns = list(answer["lengths"])
        shares = {length: each["share_of_matrix_peak"] for length, each in answer["lengths"].items()}
        for name in next(iter(shares.values())):
            rows.append((f"{what}: {called(name)}", *(f"{at[name]['median']:.2f}" for at in shares.values())))
    return table(("share of the peak at … tokens", *columns), rows) if rows else NOT_RUN


def called(name: str) -> str:
    """A contestant's name for people."""
    family = "sentence-transformers" if name.startswith("sentence-transformers") else name.partition("-")[0]
    rest = name.removeprefix(family).strip("-").replace("-", ", ")
    return ", ".join(part for part in ("transformers" if family == "torch" else family, rest) if part)


def _answers(results: Results, model: str) -> Mapping[str, Any]:
    return results.get(f"gpu-contest-{model}", {}).get("answers", {})


def _merged(
    answers: Mapping[str, Any], names: tuple[str, ...], part: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """By contestant, its rate and how many times as fast ours was, in the first question that it took part in."""
    merged: dict[str, dict[str, Any]] = {}
    for name in names:
        if name in answers:
            answer = part(answers[name])
            for contestant, rate in answer["sentences_per_second"].items():
                over = answer["ours_over_peer"].get(contestant)
                merged.setdefault(contestant, {"rate": rate["median"], "ratio": over})
    return merged


def _least(ratios: list[Mapping[str, Any]]) -> str:
    """How many times as fast as the fastest peer ours is."""
    peers = {name: each for question in ratios for name, each in question.items()}
    if not peers:
        return _NOT_RUN
    best = min(peers, key=lambda name: peers[name]["median"])
    return f"{ratio(peers[best])} ({called(best)})"


def _difference(checks: Mapping[str, Any]) -> float | None:
    return checks.get("agreement", {}).get("one_minus_min_cosine")


def _told(value: float | None, form: str) -> str:
    return _NOT_RUN if value is None else form.format(value)


def _cell(answered: Mapping[str, Any], value: float | None, form: str) -> str:
    """A dash where the question has an answer, and the contestant no part in it."""
    return DASH if answered and value is None else _told(value, form)


def _about(results: Results, *models: str) -> list[str]:
    """Where and when it was measured."""
    told = {
        f"{result['gpu']}, {result['measured']}"
        for model in models or _MODELS
        if (result := results.get(f"gpu-contest-{model}")) is not None
    }
    return ["", f"{'; '.join(sorted(told))}."] if told else []


TABLES: dict[str, tuple[Callable[[Results], str], tuple[str, ...]]] = {
    "gpu-goals": (goals, ()),
    "gpu-speed-minilm": (partial(speed, model="minilm"), ()),
    "gpu-speed-bert-base": (partial(speed, model="bert-base"), ()),
    "gpu-lengths": (lengths, ()),
}
