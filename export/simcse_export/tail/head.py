"""A head of the user's: an ONNX graph, float32 [n, d] → [n, d'], that stands behind the pooler."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import compose, version_converter
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_model

from simcse_engine.errors import ArtifactError, CheckpointError
from simcse_engine.session.graph import open_graph, settings
from simcse_engine.session.library import CPU, first_line

from .part import Part, Vectors

if TYPE_CHECKING:
    import onnxruntime

    from ..graph.nodes import Graph

# Both names of ONNX's own operators.
_STANDARD = ("", "ai.onnx")
# Rows that a head is tried on: alone, and in one run.
_TRIED = 7
# How far a row's numbers may move with its company, relative to the largest of them; a matrix product's last bits do.
_MOVED = 1e-5


class OnnxHead(Part):
    """The graph of a file, run on vectors as it lies there for the reference, and joined to ours."""

    def __init__(self, path: Path, dimension: int) -> None:
        """Read and try the file; it takes vectors of ``dimension`` floats.

        Raises:
            CheckpointError: it is no graph of one float input and one output in ONNX's own operators, refers to files
                outside its folder, mixes rows, or computes what is not finite.
        """
        self._path = path
        self._model, self._digest = _read(path)
        self._session = _open(path)
        self._input = self._session.get_inputs()[0].name
        _check_ends(path, self._model.graph, dimension)
        self.dimension = self._try(dimension)

    def _try(self, dimension: int) -> int:
        """Run it on random rows; floats per vector of its results."""
        # Of a fixed generator: whether a head is taken must not depend on luck.
        rows = np.random.default_rng(0).normal(size=(_TRIED, dimension)).astype(np.float32)
        together = self.reference(rows)
        alone = np.concatenate([self.reference(row[None]) for row in rows])
        if np.abs(together - alone).max() > _MOVED * max(1.0, float(np.abs(alone).max())):
            raise CheckpointError(
                f"{self._path}: a row's result depends on the rows beside it, by up to "
                f"{np.abs(together - alone).max():.1e}; a vector must not depend on its batch"
            )
        return together.shape[1]

    def reference(self, vectors: Vectors) -> Vectors:
        try:
            (result,) = self._session.run(None, {self._input: vectors})
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            raise CheckpointError(
                f"{self._path}: cannot be run on {vectors.shape[0]} vectors of {vectors.shape[1]} floats "
                f"({first_line(error)})"
            ) from error
        if result.ndim != 2 or result.dtype != np.float32 or len(result) != len(vectors) or not result.shape[1]:
            raise CheckpointError(
                f"{self._path}: gives {result.dtype} {list(result.shape)} for {len(vectors)} vectors; expected a row "
                "of float32 for each"
            )
        if not np.isfinite(result).all():
            raise CheckpointError(f"{self._path}: gives NaN or infinity")
        rows: Vectors = result
        return rows

    def write(self, graph: "Graph", vectors: str, name: str) -> str:
        model = compose.add_prefix(self.converted(graph.opset), f"{name}/")
        graph.rename(vectors, model.graph.input[0].name)
        graph.nodes.extend(model.graph.node)
        for tensor in model.graph.initializer:
            graph.constant(tensor)
        return str(model.graph.output[0].name)

    def converted(self, opset: int) -> onnx.ModelProto:
        """Its graph in the operators of another version; raises CheckpointError where there is none."""
        (stated,) = (each.version for each in self._model.opset_import if each.domain in _STANDARD)
        if stated == opset:
            return self._model
        try:
            return version_converter.convert_version(self._model, opset)
        except Exception as error:  # of C++
            raise CheckpointError(
                f"{self._path}: is of opset {stated}, and cannot be converted to {opset} ({first_line(error)}); export "
                f"it with opset {opset}"
            ) from error

    def facts(self) -> dict[str, Any]:
        return {"kind": "head", "dimensions": self.dimension, "digest": self._digest}

    def figures(self) -> dict[str, Any]:
        # The same graph under another name is the same head.
        return {"file": self._path.name}


def _read(path: Path) -> tuple[onnx.ModelProto, str]:
    """The graph with its weights, and the digest of both."""
    if not path.is_file():
        raise CheckpointError(f"{path}: {'is a folder' if path.exists() else 'no such file'}; expected an ONNX file")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's
        raise CheckpointError(f"{path}: is no ONNX file ({first_line(error)})") from error
    _check_operators(path, model)
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _check_location(path, ExternalDataInfo(tensor).location)
    try:
        load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
    except Exception as error:  # of C++, or of the file system
        raise CheckpointError(f"{path}: is no sound ONNX graph ({first_line(error)})") from error
    return model, hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def _check_operators(path: Path, model: onnx.ModelProto) -> None:
    if model.functions:
        # A function may bear the name of any operator.
        raise CheckpointError(f"{path}: has functions of its own, such as {model.functions[0].name!r}; inline them")
    if sum(each.domain in _STANDARD for each in model.opset_import) > 1:
        raise CheckpointError(f"{path}: states the version of ONNX's operators twice; expected one opset_import of ''")
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        for node in graph.node:
            if node.domain not in _STANDARD:
                raise CheckpointError(
                    f"{path}: has an operator {node.op_type} of {node.domain!r}; only ONNX's own can be exported"
                )
            for attribute in node.attribute:
                tensors = [attribute.t, *attribute.tensors]
                if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors):
                    raise CheckpointError(f"{path}: {node.op_type} has a constant in another file; expected weights")
                graphs += [attribute.g, *attribute.graphs]
        if graph.sparse_initializer:
            raise CheckpointError(f"{path}: has sparse weights, which cannot be exported")
        if graph is not model.graph and any(
            tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in graph.initializer
        ):
            raise CheckpointError(f"{path}: a branch has weights in another file; expected them in the graph")


def _check_location(path: Path, location: str) -> None:
    """Refuse weights that do not lie in the file's own folder."""
    file = path.parent / location
    if Path(location).name != location or file.is_symlink() or not file.is_file():
        raise CheckpointError(f"{path}: refers to {location!r:.80}; expected a file that lies beside it")


def _check_ends(path: Path, graph: onnx.GraphProto, dimension: int) -> None:
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [each for each in graph.input if each.name not in weights]
    if len(inputs) != 1 or len(graph.input) != 1 or len(graph.output) != 1:
        raise CheckpointError(
            f"{path}: takes {', '.join(each.name for each in graph.input) or 'nothing'} and gives "
            f"{', '.join(each.name for each in graph.output) or 'nothing'}; expected one input and one output"
        )
    kind = inputs[0].type.tensor_type
    sizes = [each.dim_value or None for each in kind.shape.dim]
    if kind.elem_type != onnx.TensorProto.FLOAT or len(sizes) != 2 or sizes[0] or sizes[1] not in (None, dimension):
        raise CheckpointError(
            f"{path}: takes {onnx.helper.tensor_dtype_to_string(kind.elem_type)} {sizes}; expected float32 "
            f"[any number, {dimension}]"
        )


def _open(path: Path) -> "onnxruntime.InferenceSession":
    try:
        return open_graph(path, settings(1), CPU, device="cpu")
    except ArtifactError as error:
        raise CheckpointError(f"{path}: onnxruntime cannot open it ({first_line(error.__cause__ or error)})") from error
