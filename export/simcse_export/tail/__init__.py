"""What follows pooling: parts that make vectors of vectors, in their order, before the cut and the L2 norm. Private.

- `part`: what every part offers;
- `norm`: unit length; `dense`: a linear layer and its activation, as sentence-transformers has them;
- `whitening`: the linear map that makes a corpus's vectors white;
- `head`: an ONNX graph of the user's.
"""
