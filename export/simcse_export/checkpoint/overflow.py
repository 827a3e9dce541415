"""Where float16 is too narrow: linear layers of a checkpoint whose results it cannot hold."""

import contextlib
from collections.abc import Iterator

import torch

# float16 ends at 65,504. Other texts than those that were tried may go further.
_LARGEST = 65_504 / 4


@contextlib.contextmanager
def watched(model: torch.nn.Module) -> Iterator[dict[str, float]]:
    """Note the largest magnitude that each linear layer of ``model`` gives while the block runs it.

    Yields:
        A layer's name → that magnitude; filled while the block runs.
    """
    largest: dict[str, float] = {}

    def watch(name: str, result: torch.Tensor) -> None:
        largest[name] = max(largest.get(name, 0.0), float(result.abs().max()))

    linears = [(name, module) for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    hooks = [
        module.register_forward_hook(lambda _module, _given, result, name=name: watch(name, result))
        for name, module in linears
    ]
    try:
        yield largest
    finally:
        for hook in hooks:
            hook.remove()


def wide_layers(largest: dict[str, float]) -> frozenset[str]:
    """The layers that are left in float32, from what `watched` noted.

    What reads a wide tensor reads it in float32, so the second of a feed-forward's two goes with the first.
    """
    wide = {name for name, magnitude in largest.items() if magnitude > _LARGEST}
    ups = [name for name in wide if name.endswith(".intermediate.dense")]
    return frozenset(wide | {name.removesuffix("intermediate.dense") + "output.dense" for name in ups})
