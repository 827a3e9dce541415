"""The session on a GPU, through ONNX Runtime's CUDA provider. Private.

session      runs, each on a slot or as a CUDA graph
slot         where a run's inputs and vectors lie
cuda_graphs  runs that are recorded once and replayed
buckets      the shapes that recorded runs are padded to
shared_lock  keeps other work off the GPU while a run is recorded
cudart       memory and copies, by CUDA's runtime library
"""
