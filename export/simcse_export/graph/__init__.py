"""The ONNX graph: BERT and RoBERTa written once, in layouts and dialects."""
