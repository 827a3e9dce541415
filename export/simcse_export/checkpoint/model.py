"""The model to export: a checkpoint that has been read, and every choice that its files leave open made."""

import os
from dataclasses import dataclass

from simcse_engine.errors import UnsupportedModelError

from ..options import ExportOptions
from .architecture import TOKEN_TYPES, Architecture, Weights
from .checkpoint import Checkpoint, choose_max_tokens, choose_pooler, open_checkpoint
from .reference import Head, Reference
from .weights import load_weights, select

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
        max_tokens: longest text, special tokens included.
        normalize: whether vectors are scaled to unit length.
        reference: the same model as transformers loads it.
    """

    checkpoint: Checkpoint
    known_architecture: Architecture | None
    weights: Weights
    head: Head | None
    pooler: str
    max_tokens: int
    normalize: bool
    reference: Reference

    @property
    def architecture(self) -> Architecture:
        """The numbers of a model that `simcse_export.graph.bert` writes."""
        assert self.known_architecture is not None  # where it is, optimum writes the graph
        return self.known_architecture

    def graph_weights(self) -> Weights:
        """The tensors that the authored graph needs; raises CheckpointError where one is missing or misshapen."""
        return select(self.weights, self.architecture.shapes(self.pooler), optional=[TOKEN_TYPES])


def read_model(checkpoint: str | os.PathLike[str], options: ExportOptions) -> Model:
    """Read a checkpoint, a local folder or a hub id, and make the choices that it leaves open."""
    files = open_checkpoint(checkpoint, options.revision)
    architecture = Architecture.of(files.config)
    if architecture is None and not options.first_on_cpu:
        raise UnsupportedModelError(
            f"{files.id}: {options.precision} for {options.target} is for BERT and RoBERTa, whose graphs are "
            "written here; export this model with --precision fp32 for --target cpu"
        )
    weights = load_weights(files.folder)
    pooler = choose_pooler(files, options.pooler, has_head=weights.keys() >= set(HEAD))
    return Model(
        checkpoint=files,
        known_architecture=architecture,
        weights=weights,
        head=(weights[HEAD[0]], weights[HEAD[1]]) if pooler == "cls" else None,
        pooler=pooler,
        max_tokens=choose_max_tokens(files, options.max_tokens),
        normalize=options.normalize,
        reference=Reference(files),
    )
