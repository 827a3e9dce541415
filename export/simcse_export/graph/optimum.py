"""Any other encoder that optimum can export: its graph, between our inputs and our pooler.

optimum's graph takes a padded grid and a mask, so padding is computed here; batches of equal length have none.
"""

import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import onnx
from onnx import compose, helper
from packaging.requirements import Requirement
from transformers import PreTrainedModel

from simcse_engine.errors import RuntimeMissingError, UnsupportedModelError
from simcse_engine.session.feeds import SKIPPED

from ..checkpoint.quiet import quiet
from ..checkpoint.reference import Head
from ..tail.part import Part
from .layouts.layout import View
from .layouts.ragged import Ragged
from .nodes import INT64, OPSETS, Graph, output
from .pooling import AVERAGED, FIRST_TOKEN, finished, joined, mean_of

_PREFIX = "model/"
# What transformers implements; with other values it silently leaves the positions out.
_POSITIONS = ("absolute", "relative_key", "relative_key_query")


def author_through_optimum(
    model: PreTrainedModel,
    *,
    pooler: str,
    head: Head | None,
    include_prompt: bool = True,
    tail: Sequence[Part] = (),
    truncate_dim: int | None = None,
    normalize: bool,
    folder: Path | None = None,
) -> onnx.ModelProto:
    """Write a graph with the interface of `simcse_export.graph.bert.author` around the one that optimum exports.

    Pooler "cls" needs its ``head``. optimum writes temporary files into ``folder``, or into the system's for None.
    """
    positions = getattr(model.config, "position_embedding_type", "absolute")
    if positions not in _POSITIONS:
        raise UnsupportedModelError(
            f"position_embedding_type {positions!r} is unknown; {', '.join(_POSITIONS)} can be exported"
        )
    count = model.config.num_hidden_layers
    averaged = AVERAGED.get(pooler, (-1,))
    exported = compose.add_prefix(_export(model, folder, hidden_states=len(averaged) > 1), _PREFIX)
    graph = Graph()
    layout = Ragged(graph)
    hidden = model.config.hidden_size
    with graph.scope("inputs"):
        ids = layout.on_grid(lambda view: view.grid("input_ids"), INT64)
        feeds = {"input_ids": ids, "attention_mask": layout.on_grid(_mask, INT64)}
        feeds["token_type_ids"] = graph.filled_like(ids, 0)
    for info in exported.graph.input:
        name = info.name.removeprefix(_PREFIX)
        if name not in feeds:
            raise UnsupportedModelError(f"{model.config.model_type}: its graph asks for {name}, not token ids alone")
        graph.rename(feeds[name], info.name)
    graph.nodes.extend(exported.graph.node)
    graph.initializers.update({tensor.name: tensor for tensor in exported.graph.initializer})

    def states(name: str) -> str:
        return layout.on_grid(lambda view: view.flat(f"{_PREFIX}{name}", hidden))

    skipped = "" if include_prompt else SKIPPED
    further = [helper.make_tensor_value_info(SKIPPED, INT64, [1])] if skipped else []
    with graph.scope("pooler"):
        last = states("last_hidden_state")
        if pooler in FIRST_TOKEN:
            vectors = layout.tokens_at(last, skipped) if skipped else layout.first_tokens(last)
            if head is not None:
                weights = graph.weight("pooler.weight", head[0].T), graph.weight("pooler.bias", head[1])
                vectors = graph.op("Tanh", graph.op("Gemm", vectors, *weights))
        else:
            # The last one has a name of its own.
            others = [states(f"hidden_states.{i % (count + 1)}") for i in averaged[:-1]]
            vectors = joined(layout, mean_of(graph, [*others, last]), pooler, hidden, skipped)
    vectors = finished(graph, vectors, tail, truncate_dim, normalize=normalize)
    graph.rename(vectors, "sentence_embedding")
    return graph.model([*layout.inputs(), *further], output(truncate_dim or (tail[-1].dimension if tail else hidden)))


def _mask(view: View) -> str:
    if view.mask:
        return view.graph.op("Cast", view.mask, to=INT64)
    return view.graph.filled_like(view.grid("input_ids"), 1)


def _export(model: PreTrainedModel, folder: Path | None, *, hidden_states: bool) -> onnx.ModelProto:
    kind = model.config.model_type
    export, tasks = _exporters(kind)
    try:
        make_config = tasks.get_exporter_config_constructor(
            "onnx", model=model, task="feature-extraction", library_name="transformers"
        )
    except (KeyError, ValueError, NotImplementedError) as error:
        raise UnsupportedModelError(f"model type {kind}: neither we nor optimum can write its graph") from error
    config = make_config(model.config)
    if hidden_states:
        config = _with_hidden_states(config, model.config.num_hidden_layers)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary) / "model.onnx"
        try:
            with quiet():
                export(
                    model=model,
                    config=config,
                    output=path,
                    opset=OPSETS[""],
                    model_kwargs={"output_hidden_states": True} if hidden_states else None,
                )
        except OSError:
            raise  # such as a full disk: not the model's fault
        except Exception as error:  # tracing may fail in any layer of torch
            raise UnsupportedModelError(f"model type {kind}: optimum cannot export it ({error})") from error
        return onnx.load(path)


def _exporters(kind: str) -> tuple[Callable[..., object], Any]:
    """optimum's ``export`` and ``TasksManager``: imported on this route alone, as most models go without.

    Raises RuntimeMissingError where optimum-onnx is not installed, or does not go with the installed transformers.
    """
    missing = f"model type {kind}: its graph is not written here, and optimum-onnx, which may write it, "
    install = "pip install 'simcse-engine[export-optimum]'"
    try:
        needed = [Requirement(line) for line in requires("optimum-onnx") or ()]
    except PackageNotFoundError:
        raise RuntimeMissingError(f"{missing}is not installed; {install}") from None
    installed = version("transformers")
    for requirement in needed:
        if requirement.name == "transformers" and not requirement.specifier.contains(installed, prereleases=True):
            raise RuntimeMissingError(
                f"{missing}needs {requirement}, and {installed} is installed; {install}, best in an environment of "
                "its own"
            )
    with quiet():
        from optimum.exporters.onnx import export
        from optimum.exporters.tasks import TasksManager
    return export, TasksManager


def _with_hidden_states(config: object, layers: int) -> object:
    """The same export configuration, with ``hidden_states.0`` … as outputs beside the last one."""
    base = type(config)

    class WithHiddenStates(base):  # type: ignore[misc,valid-type]
        @property
        def outputs(self) -> dict[str, dict[int, str]]:
            axes = {0: "batch_size", 1: "sequence_length"}
            names = ["last_hidden_state", *(f"hidden_states.{i}" for i in range(layers + 1))]
            return dict.fromkeys(names, axes)

    config.__class__ = WithHiddenStates
    return config
