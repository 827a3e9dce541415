"""The authored graph on a padded grid, the way everybody else does it: the contestant of the ragged layout.

The layers, their spelling and the weights are the same; padding is multiplied along, and a mask keeps it out.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from simcse_engine.artifact.manifest import GRAPH
from simcse_engine.session import CpuSession
from simcse_export.checkpoint.checkpoint import open_checkpoint
from simcse_export.checkpoint.weights import load_weights, select
from simcse_export.graph import bert as authored
from simcse_export.graph.dialects.dialect import CpuFp32
from simcse_export.graph.layouts.ragged import Ragged, RaggedView
from simcse_export.graph.nodes import FLOAT, INT32, Graph


class _PaddedView(RaggedView):
    """A grid that is a mere reshape, as for equal lengths, and masked all the same."""

    @property
    def mask(self) -> str:
        """See `View`."""
        return self._layout.mask


class _Padded(Ragged):
    """The layout of ``input_ids`` that come padded: [sentences x longest]."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        with graph.scope("layout"):
            sentences = graph.op("Shape", "lengths")
            longest = graph.op("Div", graph.op("Shape", "input_ids"), sentences)
            self.shape = graph.op("Concat", sentences, longest, axis=0)
            self.starts = graph.op("Mul", self._range(sentences), longest)
            filled = graph.op("Less", self._range(longest), graph.op("Unsqueeze", "lengths", graph.ints(1)))
            self.mask = graph.op("Cast", filled, to=INT32)

    def _range(self, count: str) -> str:
        graph = self.graph
        return graph.op("Range", graph.scalar(0), graph.op("Squeeze", count, graph.ints(0)), graph.scalar(1))

    def each(self, write: Callable[[RaggedView], str], dtype: int = FLOAT) -> str:  # noqa: ARG002
        """Write the part once: there is one kind of grid."""
        return write(_PaddedView(self.graph, self, equal=True))


class _PaddedFp32(CpuFp32):
    layout = _Padded


def write_padded(checkpoint: Path, folder: Path, *, pooler: str) -> Path:
    """Write the padded graph of a checkpoint into ``folder``, as a `CpuSession` opens it."""
    source = open_checkpoint(checkpoint)
    numbers = authored.Architecture.of(source.config)
    used = select(load_weights(source.folder), numbers.shapes(pooler), optional=[authored.TOKEN_TYPES])
    model = authored.author(numbers, used, _PaddedFp32(), pooler=pooler, normalize=True)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, folder / GRAPH)
    return folder


def run_padded(session: CpuSession, ids: Sequence[list[int]]) -> NDArray[np.float32]:
    """Run sentences of these token ids, padded to the longest."""
    lengths = np.array([len(i) for i in ids], np.int64)
    grid = np.zeros((len(ids), lengths.max()), np.int64)
    for row, sentence in zip(grid, ids, strict=True):
        row[: len(sentence)] = sentence
    return session.run(grid.reshape(-1), lengths)
