"""The tables of docs/decisions/ about the graph for CUDA, from `choices.cuda_layer` and `choices.cuda_parity`."""

from collections.abc import Callable, Mapping
from typing import Any

from .tables import table

Results = Mapping[str, Any]

_MODELS = {"minilm": "MiniLM", "bert-base": "BERT-base"}
_LENGTHS = ("16", "32", "64", "128")


def nodes(results: Results) -> str:
    """Each node of a layer as it is: what it moves and computes, what bounds it, and its least time."""
    models = results["cuda_layer"]["models"]
    rows = []
    for name in models["minilm"]["nodes"][_LENGTHS[0]]:
        if name == "attention":
            # The only one that depends on the texts' length.
            rows += [
                (f"attention, texts of {length}", *_cells(models, name, length))
                for length in (_LENGTHS[0], *_LENGTHS[2:])
            ]
        else:
            rows.append((f"`{name}`", *_cells(models, name, _LENGTHS[0])))
    head = [f"{_MODELS[model]}: {what}" for model in models for what in ("MB", "bound by", "µs")]
    return table(("", *head), rows)


def _cells(models: Mapping[str, Any], name: str, length: str) -> list[str]:
    cells = []
    for model in models.values():
        node = model["nodes"][length].get(name)
        if node is None:
            cells += ["", "", ""]
        else:
            cells += [f"{(node['read'] + node['written']) / 1e6:.0f}", node["bound"], f"{node['us']:.0f}"]
    return cells


def spellings(results: Results) -> str:
    """The least time of a layer in each spelling, with its share of the peak, and the share that was measured."""
    rows = []
    measured = results["gpu-first-run"]["minilm"]["share_of_fp16_matrix_peak_by_tokens"]
    for model, figures in results["cuda_layer"]["models"].items():
        for name, by_length in figures["spellings"].items():
            cells = (f"{by_length[each]['us']:.0f} ({by_length[each]['share_of_peak']:.2f})" for each in _LENGTHS)
            rows.append((f"{_MODELS[model]}: `{name}`", str(by_length[_LENGTHS[0]]["kernels"]), *cells))
        if model == "minilm":
            shares = (f"({measured[each]['ours']:.2f})" if each in measured else "not run" for each in _LENGTHS)
            rows.append(("MiniLM: `as-it-is`, measured from token ids", "", *shares))
    return table(("µs a layer (share of the peak), by tokens a text", "kernels", *_LENGTHS), rows)


def parity(results: Results) -> str:
    """What spellings cost in cosines on a CPU."""
    rows = [
        (
            f"{_MODELS[model]}: `{name}`",
            *(f"{each[key]:.1e}" for key in ("max_abs_difference", "min_cosine_below_1", "mean_cosine_below_1")),
        )
        for model, spelled in results["cuda_parity"]["models"].items()
        for name, each in spelled.items()
    ]
    return table(("", "largest difference", "least cosine, below 1", "mean cosine, below 1"), rows)


TABLES: dict[str, tuple[Callable[[Results], str], tuple[str, ...]]] = {
    "cuda-nodes": (nodes, ("cuda_layer",)),
    "cuda-spellings": (spellings, ("cuda_layer", "gpu-first-run")),
    "cuda-parity": (parity, ("cuda_parity",)),
}
