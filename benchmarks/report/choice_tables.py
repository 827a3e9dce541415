"""The tables of docs/decisions/ about our kernels, from the results of `choices.kernels` and `choices.operators`."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from .tables import MISSING, table

Results = Mapping[str, Any]

_MODELS = {"minilm": "MiniLM", "bert-base": "BERT-base"}
_STEPS = {
    "queries_keys_values": "queries, keys, values",
    "attention": "attention",
    "output": "output",
    "norms": "norms, rounding",
    "up": "up, GELU",
    "down": "down",
}
# The run that the table of steps shows: as batches are in bulk.
_RUN = "32 x 16"


def operators(results: Results) -> str:
    """Where the time of a run goes, the share of the peak, and its ceiling."""
    rows = []
    for name, shapes in results["operators"]["graphs"].items():
        run, shares = shapes[_RUN], shapes[_RUN]["shares"]
        model, _, precision = name.rpartition("-")
        steps = {step: shares[step] + (shares["rounding"] if step == "norms" else 0) for step in _STEPS}
        cells = [f"{100 * each:.1f}" for each in (*steps.values(), 1 - sum(steps.values()))]
        rows.append((f"{_MODELS[model]} {precision}", f"{run['efficiency']:.2f}", f"{run['ceiling']:.2f}", *cells))
    head = ("", "reached", "ceiling", *(f"{step}, %" for step in _STEPS.values()), "all else, %")
    return "\n".join([table(head, rows), "", _about(results["operators"])])


def builds(results: Results, names: Sequence[str]) -> str:
    """The time of builds of the int8 kernels over that of the library as it is."""
    chosen = {
        f"{_MODELS[model]}: {name}": measured["over"][name]
        for model, measured in results["kernels"]["builds_int8"].items()
        for name in names
        if name in measured["over"]
    }
    return _ratios(results["kernels"], chosen)


def variants(results: Results, *precisions: str) -> str:
    """The time of the variants for lesser CPUs over that of the best one, MiniLM."""
    chosen = {
        f"{precision}: {name}": ratios
        for precision in precisions
        for name, ratios in results["kernels"]["variants_minilm"][precision]["over"].items()
    }
    return _ratios(results["kernels"], chosen)


def precisions(results: Results) -> str:
    """The time of bf16 and float32 over that of int8."""
    chosen = {
        f"{_MODELS[model]} {name}": ratios
        for model, measured in results["kernels"]["over_int8"].items()
        for name, ratios in measured["over"].items()
    }
    return _ratios(results["kernels"], chosen)


def _ratios(result: Mapping[str, Any], chosen: Mapping[str, Mapping[str, Any]]) -> str:
    if not chosen:
        return MISSING
    ways: Sequence[str] = list(next(iter(chosen.values())))
    rows = [(name, *(f"{ratios[way]['median']:.2f}" for way in ways)) for name, ratios in chosen.items()]
    return "\n".join([table(("", *ways), rows), "", _about(result)])


def _about(result: Mapping[str, Any]) -> str:
    return f"{result['machine']['cpu']}, kernels {result['variant']}, {result['measured']}."


_TILE = ("tile of 4 x 64", "tile of 6 x 16", "tile inlined")
_GELU = ("gelu of float32", "gelu left out (wrong vectors)")
_GRANULARITY = (
    *(f"{count} tokens a tile" for count in (16, 32, 128, 256)),
    *(f"{count} rows a chunk" for count in (24, 256)),
    "no spinning",
)
TABLES: dict[str, tuple[Callable[[Results], str], tuple[str, ...]]] = {
    "operators": (operators, ("operators",)),
    "kernels-tile": (partial(builds, names=_TILE), ("kernels",)),
    "kernels-gelu": (partial(builds, names=_GELU), ("kernels",)),
    "kernels-granularity": (partial(builds, names=_GRANULARITY), ("kernels",)),
    "kernels-variants": (lambda results: variants(results, "int8", "fp32"), ("kernels",)),
    "kernels-variants-bf16": (lambda results: variants(results, "bf16"), ("kernels",)),
    "kernels-precisions": (precisions, ("kernels",)),
}
