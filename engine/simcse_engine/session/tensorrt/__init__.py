"""The session on compiled engines: TensorRT, and TensorRT for RTX."""
