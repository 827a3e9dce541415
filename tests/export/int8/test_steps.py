"""Wide channels in steps: their clipped sum is the channel, on the lowest grid that the copies allow."""

import math

import pytest
import torch
from transformers.activations import ACT2FN

from simcse_export.int8.steps import Steps


def channels(count: int = 96, tokens: int = 400) -> torch.Tensor:
    """Inputs of an activation function: a few channels far wider than the others."""
    x = torch.randn(tokens, count, generator=torch.Generator().manual_seed(0))
    x[:, 3] *= 8
    x[:, 40] *= 4
    return x


@pytest.mark.parametrize(("name", "off"), [("relu", 1e-5), ("gelu", 0.5), ("quick_gelu", 0.5), ("silu", 1.0)])
def test_the_clipped_steps_add_up(name: str, off: float) -> None:
    x, act = channels(), ACT2FN[name]
    steps = Steps.of(act(x), act)
    clipped = act(x[:, steps.channels] - steps.shifts).clamp(max=steps.height)
    weight = torch.eye(x.shape[1])
    torch.testing.assert_close(clipped @ steps.spread(weight).T, act(x), rtol=0, atol=off)
    # Without the copies the wide channels would be cut.
    assert float((clipped[:, : x.shape[1]] - act(x)).abs().max()) > 5


def test_the_lowest_height_that_the_copies_suffice_for() -> None:
    activated = ACT2FN["relu"](channels())
    steps = Steps.of(activated, ACT2FN["relu"])
    largest = activated.amax(0).tolist()

    def needed(height: float) -> int:
        return sum(max(1, math.ceil(value / height)) - 1 for value in largest)

    copies = len(steps.channels) - len(largest)
    assert copies == 16
    assert needed(steps.height * 1.0001) <= copies < needed(steps.height * 0.9999)
    assert steps.channels[: len(largest)].tolist() == list(range(len(largest)))
    assert steps.height < max(largest) / 4


@pytest.mark.parametrize(("count", "copies"), [(1, 16), (768, 16), (769, 32), (3072, 64)])
def test_the_number_of_copies(count: int, copies: int) -> None:
    act = ACT2FN["gelu"]
    steps = Steps.of(act(torch.randn(50, count, generator=torch.Generator().manual_seed(0)) * 3), act)
    assert len(steps.channels) == len(steps.shifts) == count + copies


def test_channels_of_one_width_leave_copies_unused() -> None:
    activated = torch.full((4, 20), 2.0)
    steps = Steps.of(activated, ACT2FN["relu"])
    # Twenty channels in two steps each would take more than there are.
    assert steps.height == pytest.approx(2.0)
    weight = torch.ones(3, 20)
    spread = steps.spread(weight)
    assert spread.shape == (3, 36)
    assert spread.sum() == weight.sum()
    silent = ACT2FN["gelu"](activated[:, steps.channels] - steps.shifts)[:, 20:]
    assert not silent.any()


@pytest.mark.parametrize("activated", [ACT2FN["tanh"](channels()), torch.zeros(5, 96), -torch.ones(5, 96)])
def test_what_is_bounded_or_dead_has_no_steps(activated: torch.Tensor) -> None:
    steps = Steps.of(activated, ACT2FN["tanh"])
    assert steps.channels.tolist() == list(range(96))
    assert not steps.shifts.any()
    assert steps.height == max(0.0, float(activated.max()))
    weight = torch.ones(2, 96)
    assert torch.equal(steps.spread(weight), weight)
