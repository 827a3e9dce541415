"""What ONNX Runtime's own matrix product reaches on this machine, against which a model's speed is held.

The product's shape suits the runtime well: 512 rows by a constant [768, 3072], BERT-base's widest layer on one batch.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

_OPSET, _IR_VERSION = 13, 8
# By precision: the operator, and the types of A, B and the product.
_OPERATORS = {"fp32": ("MatMul", "float32", "float32", "float32"), "int8": ("MatMulInteger", "uint8", "int8", "int32")}


@dataclass(frozen=True, kw_only=True)
class Gemm:
    """One matrix product, A [rows, inner] times B [inner, columns], B constant.

    Attributes:
        precision: "fp32" (float32 by float32) or "int8" (uint8 by int8, summed in int32).
    """

    precision: str
    rows: int = 512
    inner: int = 768
    columns: int = 3072

    @property
    def operations(self) -> int:
        """Multiplications and additions of one run."""
        return 2 * self.rows * self.inner * self.columns

    def operands(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """A and B, with the same random values every time."""
        _, a_type, b_type, _ = _OPERATORS[self.precision]
        random = np.random.default_rng(0)
        return _values(random, a_type, self.rows, self.inner), _values(random, b_type, self.inner, self.columns)

    def session(self) -> onnxruntime.InferenceSession:
        """A one-thread session of a model with input "a" and output "y"; B is inside, for the runtime to lay out."""
        operator, a_type, _, y_type = _OPERATORS[self.precision]
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node(operator, ["a", "b"], ["y"])],
            "gemm",
            [_value_info("a", a_type, self.rows, self.inner)],
            [_value_info("y", y_type, self.rows, self.columns)],
            [onnx.numpy_helper.from_array(self.operands()[1], "b")],
        )
        opset = onnx.helper.make_opsetid("", _OPSET)
        model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _values(random: np.random.Generator, kind: str, rows: int, columns: int) -> NDArray[Any]:
    if kind == "float32":
        return random.standard_normal((rows, columns), np.float32)
    # Weights of 8 bits stay within ±63, as quantizers keep them where sums of two products would overflow 16 bits.
    low, high = (0, 256) if kind == "uint8" else (-63, 64)
    return random.integers(low, high, (rows, columns), kind)


def _value_info(name: str, kind: str, *shape: int) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)


class Peak:
    """Measures a product as bulk work runs: on one-thread sessions, with one worker per thread."""

    def __init__(self, gemm: Gemm, threads: int) -> None:
        """Build and open the model."""
        self.gemm = gemm
        self._a, _ = gemm.operands()
        self._session = gemm.session()
        self._threads = threads
        self._workers = ThreadPoolExecutor(threads)

    def measure(self, seconds: float) -> float:
        """Operations a second over all threads, each of which runs for about ``seconds`` and at least once."""
        rates = [self._workers.submit(self._rate, seconds) for _ in range(self._threads)]
        return sum(rate.result() for rate in rates)

    def _run(self) -> NDArray[Any]:
        product: NDArray[Any] = self._session.run(None, {"a": self._a})[0]
        return product

    def _rate(self, seconds: float) -> float:
        self._run()  # the caches hold what ran before
        count, start = 0, time.perf_counter()
        while True:
            self._run()
            count += 1
            elapsed = time.perf_counter() - start
            if elapsed >= seconds:
                return count * self.gemm.operations / elapsed

    def close(self) -> None:
        """Stop the workers."""
        self._workers.shutdown()
