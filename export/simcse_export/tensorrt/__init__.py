"""Plans of TensorRT for RTX, compiled ahead of time. Private."""
