"""The session on a GPU, through ONNX Runtime's CUDA provider."""
