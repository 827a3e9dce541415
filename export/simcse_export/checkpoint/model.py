"""The model to export: a checkpoint that has been read, and every choice that its files leave open made."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from simcse_engine.errors import CheckpointError, UnsupportedModelError
from simcse_engine.wording import Wording, argument

from ..options import ExportOptions
from ..tail.dense import Dense
from ..tail.head import OnnxHead
from ..tail.norm import Unit
from ..tail.part import Part
from .architecture import KNOWN, TOKEN_TYPES, Architecture, Weights
from .checkpoint import Checkpoint, choose_pooler, open_checkpoint
from .length import Length, choose_length
from .reference import Head, Reference
from .weights import load_weights, require_finite, select

# The head: weight [out, in] and bias of the dense layer that pooler "cls" ends in.
HEAD = ("pooler.dense.weight", "pooler.dense.bias")


@dataclass(frozen=True, kw_only=True)
class Model:
    """A checkpoint as it will be exported.

    Attributes:
        checkpoint: what its small files say.
        known_architecture: its numbers; None for a model that goes through optimum.
        weights: all its tensors, by canonical name.
        head: `HEAD`, for pooler "cls"; None for the others.
        pooler: one of `simcse_engine.artifact.kinds.POOLERS`.
        include_prompt: whether pooling takes a prompt's tokens along.
        tail: what makes other vectors of the pooled ones, in its order.
        length: the longest text.
        truncate_dim: how many floats of each vector are kept, fewer than the model has; None for all.
        normalize: whether vectors are scaled to unit length.
        reference: the same model as transformers loads it.
    """

    checkpoint: Checkpoint
    known_architecture: Architecture | None
    weights: Weights
    head: Head | None
    pooler: str
    include_prompt: bool
    tail: tuple[Part, ...]
    length: Length
    truncate_dim: int | None
    normalize: bool
    reference: Reference

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest text, special ones included."""
        return self.length.tokens

    @property
    def dimension(self) -> int:
        """Floats per vector."""
        hidden: int = self.reference.config.hidden_size
        return self.truncate_dim or (self.tail[-1].dimension if self.tail else hidden)

    @property
    def architecture(self) -> Architecture:
        """The numbers of a model that `simcse_export.graph.bert` writes."""
        assert self.known_architecture is not None  # where it is, optimum writes the graph
        return self.known_architecture

    def graph_weights(self) -> Weights:
        """The tensors that the authored graph needs; raises CheckpointError where one is missing or misshapen."""
        layers, tensors = self.architecture.layers, len(self.weights)
        if layers > tensors:
            raise CheckpointError(f"the weights lack layers: config.json says {layers}, and they are {tensors} tensors")
        return select(self.weights, self.architecture.shapes(self.pooler), optional=[TOKEN_TYPES])


def _dimension(hidden: int, tail: Sequence[Part], name: str) -> int:
    """Floats of a vector that has gone through the tail."""
    dimension = hidden
    for part in tail:
        if isinstance(part, Dense) and part.features_in != dimension:
            raise CheckpointError(f"{name}: a Dense module takes {part.features_in} floats, and gets {dimension}")
        dimension = part.dimension
    return dimension


def read_model(checkpoint: str | os.PathLike[str], options: ExportOptions) -> Model:
    """Read a checkpoint, a local folder or a hub id, and make the choices that it leaves open."""
    files = open_checkpoint(checkpoint, options.revision)
    architecture = Architecture.of(files.config)
    if architecture is None and not options.first_on_cpu:
        asked = f"{options.precision} for {options.target}{f', {options.layout},' if options.layout else ''}"
        raise UnsupportedModelError(
            f"{files.id}: {asked} is for {KNOWN}, whose graphs are written here; export this model with ",
            argument("precision", "fp32"),
            " for ",
            argument("target", "cpu"),
            *([] if options.layout is None else [" and without ", Wording("layout", "--layout")]),
        )
    quantized = files.config.get("quantization_config") or files.config.get("compression_config")
    if quantized:
        raise UnsupportedModelError(
            f"{files.id}: its weights are quantized, as quantization_config of config.json says; export the model that "
            "was quantized, with ",
            argument("precision", "int8"),
            " for a small artifact",
        )
    weights = load_weights(files.folder)
    pooler = choose_pooler(files, options.pooler, has_head=weights.keys() >= set(HEAD))
    require_finite({name: array for name, array in weights.items() if pooler == "cls" or name not in HEAD})
    reference = Reference(files)
    tail: tuple[Part, ...] = files.stated.tail if files.stated else ()
    dimension = _dimension(reference.config.hidden_size, tail, files.id)
    if files.stated is not None and files.stated.ends_in_unit and (options.head or options.whiten):
        # They take what the folder gives.
        tail = (*tail, Unit(dimension))
    if options.head is not None:
        tail = (*tail, OnnxHead(options.head, dimension))
        dimension = tail[-1].dimension
    if options.dimensions is not None and options.dimensions > dimension:
        raise CheckpointError(argument("dimensions", options.dimensions), f": {files.id} gives vectors of {dimension}")
    truncate_dim = options.dimensions or (files.stated and files.stated.truncate_dim)
    if truncate_dim is not None and truncate_dim >= dimension:
        truncate_dim = None
    return Model(
        checkpoint=files,
        known_architecture=architecture,
        weights=weights,
        head=(weights[HEAD[0]], weights[HEAD[1]]) if pooler == "cls" else None,
        pooler=pooler,
        include_prompt=files.stated is None or files.stated.include_prompt,
        tail=tail,
        length=choose_length(files, options.max_tokens, reference),
        truncate_dim=truncate_dim,
        normalize=options.normalize,
        reference=reference,
    )
