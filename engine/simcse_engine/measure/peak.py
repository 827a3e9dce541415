"""What ONNX Runtime's own matrix product reaches on this machine: the measure that a model's speed is held against.

The product has a shape that is kind to it, 512 rows by a constant [768, 3072], BERT-base's widest layer on one full
batch. The engine has no onnx package, so the little model around it is written here as protobuf, a format of tagged
fields (https://protobuf.dev/programming-guides/encoding) whose numbers stand in onnx.proto.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..session import open_bytes

_OPSET, _IR_VERSION = 13, 8
# onnx.TensorProto.DataType
_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6}
# By an artifact's precision: the operator, and the types of A, B and the product.
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

    @classmethod
    def of(cls, precision: str, target: str) -> Self | None:
        """The product that artifacts of this precision and target are held against; None where there is none."""
        return cls(precision=precision) if target == "cpu" and precision in _OPERATORS else None

    @property
    def operator(self) -> str:
        """ONNX's name of it."""
        return _OPERATORS[self.precision][0]

    @property
    def operations(self) -> int:
        """Multiplications and additions of one run."""
        return 2 * self.rows * self.inner * self.columns

    def operands(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """A and B, of the same random values every time."""
        _, a_type, b_type, _ = _OPERATORS[self.precision]
        random = np.random.default_rng(0)
        return _values(random, a_type, self.rows, self.inner), _values(random, b_type, self.inner, self.columns)

    def model(self) -> bytes:
        """The ONNX model: input "a", output "y", B inside."""
        operator, a_type, b_type, y_type = _OPERATORS[self.precision]
        _, b = self.operands()
        little_endian = b.astype(b.dtype.newbyteorder("<")).tobytes()
        tensor = _numbers(1, *b.shape) + _numbers(2, _TYPES[b_type]) + _bytes(8, b"b") + _bytes(9, little_endian)
        node = _bytes(1, b"a") + _bytes(1, b"b") + _bytes(2, b"y") + _bytes(4, operator.encode())
        graph = (
            *(_bytes(1, node), _bytes(2, b"gemm"), _bytes(5, tensor)),
            _bytes(11, _value_info(b"a", a_type, self.rows, self.inner)),
            _bytes(12, _value_info(b"y", y_type, self.rows, self.columns)),
        )
        return _numbers(1, _IR_VERSION) + _bytes(7, b"".join(graph)) + _bytes(8, _numbers(2, _OPSET))


def _values(random: np.random.Generator, kind: str, rows: int, columns: int) -> NDArray[Any]:
    if kind == "float32":
        return random.standard_normal((rows, columns), np.float32)
    # Weights of 8 bits stay within ±63, as quantizers keep them where sums of two products would overflow 16 bits.
    low, high = (0, 256) if kind == "uint8" else (-63, 64)
    return random.integers(low, high, (rows, columns), kind)


def _value_info(name: bytes, kind: str, *shape: int) -> bytes:
    # ValueInfoProto{name, type: TypeProto{tensor_type: {elem_type, shape: {dim: {dim_value}, ...}}}}
    dims = b"".join(_bytes(1, _numbers(1, size)) for size in shape)
    tensor = _numbers(1, _TYPES[kind]) + _bytes(2, dims)
    return _bytes(1, name) + _bytes(2, _bytes(1, tensor))


def _numbers(field: int, *values: int) -> bytes:
    """A field of whole numbers, each with the field's tag: number x 8 + wire type 0."""
    return b"".join(_varint(field << 3) + _varint(value) for value in values)


def _bytes(field: int, content: bytes) -> bytes:
    """A field of text, raw bytes or a message: number x 8 + wire type 2, length, content."""
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; the eighth says that another byte follows."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


class Peak:
    """Measures a product as bulk work runs: on one-thread sessions, a worker thread each."""

    def __init__(self, gemm: Gemm, threads: int) -> None:
        """Open the model.

        Raises:
            RuntimeMissingError: no onnxruntime, or two of them.
        """
        self.gemm = gemm
        self._a, _ = gemm.operands()
        self._run: Callable[[NDArray[Any]], NDArray[Any]] = open_bytes(gemm.model(), threads=1)
        self._threads = threads
        self._workers = ThreadPoolExecutor(threads, thread_name_prefix="simcse-engine-peak")

    def measure(self, seconds: float) -> float:
        """Operations a second over all threads, measured for about so long and for a run a thread at least."""
        runs = [self._workers.submit(self._rate, seconds) for _ in range(self._threads)]
        return sum(run.result() for run in runs)

    def _rate(self, seconds: float) -> float:
        self._run(self._a)  # whatever ran before has the caches
        count, start = 0, time.perf_counter()
        while True:
            self._run(self._a)
            count += 1
            elapsed = time.perf_counter() - start
            if elapsed >= seconds:
                return count * self.gemm.operations / elapsed

    def close(self) -> None:
        """Stop the workers."""
        self._workers.shutdown()
