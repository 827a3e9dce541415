"""Why the engine's constants and graphs are what they are. Each file is a script.

- `limits`: the scheduler's sizes
- `spellings`: ways to write the int8 graph or that for CUDA, or any two artifacts
- `cuda_spellings`: those of the graph for CUDA that a GPU has to choose between
- `cuda_layer`: what bounds a layer of each, predicted; `cuda_parity`: what they cost in cosines, on a CPU
- `batching`: how concurrent calls are joined
- `byte_attention`: what attention in bytes would cost in cosines
- `padded`: what the padded layout costs beside the usual one
- `operators`: where a run's time goes inside our kernels, and what bounds it
- `kernels`: the kernels' constants, and their variants
- `exact`: from how many vectors on the ANN graph is faster than comparing all
- `long_texts`: what one long text costs to tokenize, in pieces and whole
- `request`: what a request costs the event loop of `serve`, and what its parts would cost made another way
- `forms`: what shorter vectors and smaller numbers cost on STS
- `whitening`: what whitening does to a checkpoint's vectors on STS, beside cutting them
- `graph`: what an ANN graph costs to build
- `walk`: what our own search of one costs, beside USearch's
"""
