"""Dialects: how a target spells embedding, linear layer, attention, activation and layer norm. Private.

- `dialect`: what every dialect spells; the base of all, float32 on CPUs;
- `int8`: int8 on CPUs; `bf16`: bfloat16 there;
- `padded`: the three of CPUs, of the usual inputs; `activations`: in ONNX's own operators;
- `gpu`: what GPUs share; `cuda`: ONNX Runtime's CUDA provider; `tensorrt`: plain operators for its compilers.
"""
