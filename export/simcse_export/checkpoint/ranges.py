"""The range of each linear layer's results, and the layers for which float16 is too narrow."""

import contextlib
from collections.abc import Iterator, Mapping

import torch

from .names import canonical_name

# float16 ends at 65,504. Texts other than those that were run may go further.
_SAFE_IN_FLOAT16 = 65_504 / 4


@contextlib.contextmanager
def recording_ranges(model: torch.nn.Module) -> Iterator[dict[str, float]]:
    """Record the largest magnitude of each linear layer's results, by its canonical name, while the block runs."""
    ranges: dict[str, float] = {}

    def record(name: str, result: torch.Tensor) -> None:
        ranges[name] = max(ranges.get(name, 0.0), float(result.abs().max()))

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, result, name=name: record(name, result))
        for name, module in ((canonical_name(name), module) for name, module in model.named_modules())
        if isinstance(module, torch.nn.Linear)
    ]
    try:
        yield ranges
    finally:
        for hook in hooks:
            hook.remove()


def wide_layers(ranges: Mapping[str, float]) -> frozenset[str]:
    """The linear layers that stay in float32 in a float16 graph.

    What reads a wide tensor reads it in float32, so the second layer of a feed-forward goes with the first.
    """
    wide = {name for name, magnitude in ranges.items() if magnitude > _SAFE_IN_FLOAT16}
    ups = [name for name in wide if name.endswith(".intermediate.dense")]
    return frozenset(wide | {name.removesuffix("intermediate.dense") + "output.dense" for name in ups})
