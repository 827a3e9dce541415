"""What ONNX Runtime's own matrix product reaches on this machine, against which a model's speed is held."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

# By precision: the operator, and the types of A, B and the product.
_OPERATORS = {"fp32": ("MatMul", "float32", "float32", "float32"), "int8": ("MatMulInteger", "uint8", "int8", "int32")}


class Peak:
    """A product of A [rows, inner] by a constant B [inner, columns], run as bulk work is: one worker per thread.

    The shape suits the runtime well: BERT-base's widest layer on one batch.

    Attributes:
        a, b: the operands, with the same random values every time.
        session: of one thread, with input "a" and output "y"; B is inside, for the runtime to lay out.
        operations: multiplications and additions of one run.
    """

    def __init__(self, precision: str, threads: int, *, rows: int = 512, inner: int = 768, columns: int = 3072) -> None:
        """For "fp32" (float32 by float32) or "int8" (uint8 by int8, summed in int32)."""
        operator, a_type, b_type, y_type = _OPERATORS[precision]
        random = np.random.default_rng(0)
        self.a, self.b = _values(random, a_type, rows, inner), _values(random, b_type, inner, columns)
        self.operations = 2 * rows * inner * columns
        self._threads = threads
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node(operator, ["a", "b"], ["y"])],
            "gemm",
            [_value_info("a", a_type, rows, inner)],
            [_value_info("y", y_type, rows, columns)],
            [onnx.numpy_helper.from_array(self.b, "b")],
        )
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def measure(self, seconds: float) -> float:
        """Operations a second over all threads, each of which runs for about ``seconds`` and at least once."""
        with ThreadPoolExecutor(self._threads) as workers:
            return sum(workers.map(self._rate, [seconds] * self._threads))

    def _run(self) -> NDArray[Any]:
        return self.session.run(None, {"a": self.a})[0]

    def _rate(self, seconds: float) -> float:
        self._run()  # the caches hold what ran before
        count, start = 0, time.perf_counter()
        while True:
            self._run()
            count += 1
            elapsed = time.perf_counter() - start
            if elapsed >= seconds:
                return count * self.operations / elapsed


def _values(random: np.random.Generator, kind: str, rows: int, columns: int) -> NDArray[Any]:
    if kind == "float32":
        return random.standard_normal((rows, columns), np.float32)
    # Weights of 8 bits stay within ±63, as quantizers keep them where sums of two products would overflow 16 bits.
    low, high = (0, 256) if kind == "uint8" else (-63, 64)
    return random.integers(low, high, (rows, columns), kind)


def _value_info(name: str, kind: str, *shape: int) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)
