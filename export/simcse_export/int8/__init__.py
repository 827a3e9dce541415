"""The int8 numbers of a model: scales of activations, and weights rounded to fit. Private.

- `quantize`: carries a calibration sample through the model and chooses each layer's numbers;
- `calibration`: that sample, and the attention within its sentences;
- `rounding`: float weights → int8 weights (GPTQ), exact on every CPU;
- `steps`: an activation function's wide channels, computed in steps.
"""
