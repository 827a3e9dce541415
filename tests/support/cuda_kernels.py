"""What runs on a GPU: the kernels of ONNX Runtime's CUDA provider, and the types of a graph's tensors."""

import onnx
from onnx import TensorProto

# The CUDA provider's kernels, of those that graphs may need: (domain, operator) → the types of its first input. From
# docs/OperatorKernels.md of ONNX Runtime 1.31. An operator without a kernel for its type would go to the CPU.
FLOATS, INTS = {TensorProto.FLOAT, TensorProto.FLOAT16}, {TensorProto.INT32, TensorProto.INT64}
ON_CUDA = {
    **dict.fromkeys([("", name) for name in ("MatMul", "Add", "Mul", "Div", "Max", "Sqrt", "Tanh", "Relu")], FLOATS),
    **dict.fromkeys(
        [("", name) for name in ("Cast", "Gather", "Slice", "Sub", "Identity", "Unsqueeze", "Reshape")], FLOATS | INTS
    ),
    ("", "ReduceSum"): FLOATS,
    ("", "Shape"): FLOATS | INTS,  # its result lies in the CPU's memory, where Slice wants its ends
    **dict.fromkeys(
        [
            ("com.microsoft", name)
            for name in (
                *("PackedMultiHeadAttention", "SkipLayerNormalization"),
                *("BiasGelu", "FastGelu", "QuickGelu"),
            )
        ],
        FLOATS,
    ),
}


def types(model: onnx.ModelProto) -> dict[str, int]:
    """The type of every tensor; of the runtime's own operators, all outputs have their first input's."""
    dtypes = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    dtypes |= {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    for node in model.graph.node:
        to = next((attribute.i for attribute in node.attribute if attribute.name == "to"), None)
        dtypes[node.output[0]] = to or dtypes[node.input[0]]
    return dtypes
