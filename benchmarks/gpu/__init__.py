"""The engine on an NVIDIA GPU: whether it is right, and how fast beside torch."""
