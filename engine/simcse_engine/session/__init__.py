"""Sessions: a graph on a device, ready to run. Private.

session   what every session can do
opening   the session of an artifact, chosen by its manifest and the device
maker     makes the runtime's sessions, and keeps them whole over forks
library   ONNX Runtime itself: imported, or what is wrong with it
graph     a graph on one provider, or why it cannot be opened there
feeds     sentences → the arrays of a run
kernels   our kernels: their library, and which of them run a graph
cpu       the session on a CPU
cuda/     the session on a GPU
tensorrt/ the session on a GPU with TensorRT's plans; few others may know of it (`tests/test_layering.py`)
"""
