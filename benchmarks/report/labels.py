"""What contestants are called where people read."""

LABELS = {
    "ours-int8": "ours, INT8",
    "ours-bf16": "ours, bf16",
    "ours-fp32": "ours, FP32",
    "ours-int8-without-kernels": "ours, INT8, without our kernels",
    "ours-fp32-without-kernels": "ours, FP32, without our kernels",
    "bare-int8": "a bare script with our INT8 graph",
    "openvino-int8": "OpenVINO, INT8",
    "openvino-default": "OpenVINO, default",
    "openvino-fp32": "OpenVINO, FP32",
    "ctranslate2-int8": "CTranslate2, INT8",
    "ctranslate2-bf16": "CTranslate2, bf16",
    "ctranslate2-fp32": "CTranslate2, FP32",
    "fastembed": "FastEmbed",
    "optimum": "optimum + ONNX Runtime",
    "sentence-transformers-onnx-int8": "sentence-transformers, ONNX INT8",
    "sentence-transformers-onnx-fp32": "sentence-transformers, ONNX FP32",
    "sentence-transformers-bf16": "sentence-transformers, torch bf16",
    "sentence-transformers-fp32": "sentence-transformers, torch FP32",
    "infinity": "Infinity, torch FP32",
    "simcse": "simcse, torch FP32",
}
