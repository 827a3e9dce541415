"""The ONNX graph. Private.

- `bert`: BERT and its relatives, written once;
- `operators`: our own operators, each with its inputs; `functions`: writes one and the function that spells it;
- `dialects`: how a target spells the parts of the model;
- `layouts`: how a run's sentences lie in the graph's inputs;
- `pooling`: one vector of a sentence's states, and what follows it, to the L2 norm;
- `optimum`: every other encoder;
- `nodes`: ONNX's nodes, constants and branches.
"""
