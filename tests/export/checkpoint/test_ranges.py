"""The range of each linear layer's results decides which of them float16 cannot hold."""

import torch

from simcse_export.checkpoint.ranges import recording_ranges, wide_layers


@torch.no_grad()
def test_the_largest_magnitude_of_every_linear_layer() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU(), torch.nn.Linear(1, 1))
    for layer, factor in ((model[0], 2.0), (model[2], -5.0)):
        layer.weight.fill_(factor)
        layer.bias.fill_(0.0)
    with recording_ranges(model) as ranges:
        for x in (1.0, 3.0, -4.0):
            model(torch.tensor([[x]]))
    assert ranges == {"0": 8.0, "2": 30.0}
    model(torch.tensor([[100.0]]))
    assert ranges == {"0": 8.0, "2": 30.0}


def test_wide_layers() -> None:
    up, down = "encoder.layer.1.intermediate.dense", "encoder.layer.1.output.dense"
    query = "encoder.layer.0.attention.self.query"
    assert wide_layers({query: 16_000.0, up: 1.0, down: 1.0}) == frozenset()
    assert wide_layers({query: 17_000.0, up: 1.0, down: 1.0}) == {query}
    # The second layer of a feed-forward reads what the first has computed.
    assert wide_layers({query: 1.0, up: 17_000.0, down: 1.0}) == {up, down}
    assert wide_layers({query: 1.0, up: 1.0, down: 17_000.0}) == {down}
