"""The int8 numbers of a model: chosen on the model's own activations, and standing for its own weights."""

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from simcse_export.checkpoint.architecture import TOKEN_TYPES, Architecture, Weights
from simcse_export.checkpoint.weights import load_weights, select
from simcse_export.int8.calibration import Sample
from simcse_export.int8.quantize import QuantizedLinear, _Quantizer, quantize
from simcse_export.texts.corpora import built_in
from support.checkpoints import CORPUS, make_checkpoint

LAYERS = 3
LAST = f"encoder.layer.{LAYERS - 1}"
# In the last layer, what a CLS pooler leaves in float32.
EXACT = {f"{LAST}.attention.output.dense", f"{LAST}.output.dense"}
SELF = ("query", "key", "value")
# Channels between the two feed-forward layers, and steps added to them.
WIDE, COPIES = 64, 16


class Model(NamedTuple):
    folder: Path
    architecture: Architecture
    weights: Weights
    sentences: list[list[int]]


@pytest.fixture(scope="module", params=["bert", "roberta", "mpnet"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = make_checkpoint(tmp_path_factory.mktemp("quantize") / "tiny", model_type=request.param)
    architecture = Architecture.of(json.loads((folder / "config.json").read_text()))
    assert architecture is not None
    weights = select(load_weights(folder), architecture.shapes("avg"), optional=[TOKEN_TYPES])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # Many of one length and few of others, so that chunks of several sentences and of one are seen.
    texts = [*dict.fromkeys(CORPUS), *built_in("calibration")[:40], *["the dog", "a cat", "a man"] * 3, ""]
    return Model(folder, architecture, weights, tokenizer(texts, truncation=True, max_length=40)["input_ids"])


@pytest.fixture(scope="module")
def layers(model: Model) -> dict[str, QuantizedLinear]:
    return quantize(model.architecture, model.weights, model.sentences, first_only=False)


def product_weights(layer: QuantizedLinear) -> torch.Tensor:
    """The float weights that the integers stand for: [out, in]."""
    return torch.from_numpy(layer.weight * layer.scale[:, None])


def close(ours: torch.Tensor, theirs: torch.Tensor, within: float = 0.03) -> bool:
    return float((ours - theirs).norm() / theirs.norm()) < within


def test_the_float_stream_is_transformers(model: Model) -> None:
    reference = AutoModel.from_pretrained(model.folder, attn_implementation="eager").eval()
    quantizer = _Quantizer(model.architecture, model.weights, Sample(model.sentences))
    with torch.inference_mode():
        pair = quantizer.embeddings()
        states = [pair[0]]
        for i in range(LAYERS):
            pair = quantizer.layer(f"encoder.layer.{i}", pair, first_only=False)
            states.append(pair[0])
        # By rising length, and those of one length in the order they came in.
        for first, ids in zip(quantizer.sample.firsts.tolist(), sorted(model.sentences, key=len), strict=True):
            theirs = reference(torch.tensor([ids]), output_hidden_states=True).hidden_states
            for ours, expected in zip(states, theirs, strict=True):
                torch.testing.assert_close(ours[first : first + len(ids)], expected[0], rtol=0, atol=2e-5)
    # The other stream is near, and is another one.
    difference = float((pair[1] - pair[0]).norm() / pair[0].norm())
    assert 1e-4 < difference < 0.1


def test_attention_looks_within_each_sentence(model: Model) -> None:
    sample, heads, width = Sample(model.sentences), 4, 32
    query, key, value = torch.randn(3, len(sample.ids), width, generator=torch.Generator().manual_seed(0))
    together = sample.attend(query, key, value, heads)
    assert sorted(sample.ids.tolist()) == sorted(token for ids in model.sentences for token in ids)
    for first, ids in zip(sample.firsts.tolist(), sorted(model.sentences, key=len), strict=True):
        rows = slice(first, first + len(ids))
        assert sample.ids[rows].tolist() == ids
        assert sample.positions[rows].tolist() == list(range(len(ids)))
        for head in range(heads):
            part = slice(head * 8, head * 8 + 8)
            scores = query[rows, part] @ key[rows, part].T / 8**0.5
            expected = torch.softmax(scores, 1) @ value[rows, part]
            torch.testing.assert_close(together[rows, part], expected, rtol=0, atol=1e-5)


def test_every_linear_layer_is_there(model: Model, layers: dict[str, QuantizedLinear]) -> None:
    linear = {name.removesuffix(".weight") for name in model.weights if ".dense." in name or ".self." in name}
    linear = {name for name in linear if not name.endswith(".bias")}
    assert layers.keys() == linear
    assert len(layers) == 6 * LAYERS
    for name, layer in layers.items():
        rows, columns = model.weights[f"{name}.weight"].shape
        # Steps of wide channels lie between the two feed-forward layers.
        rows += COPIES if "intermediate" in name else 0
        columns += COPIES if columns == WIDE else 0
        assert (layer.weight.dtype, layer.weight.shape) == (np.int8, (rows, columns))
        assert (layer.scale.dtype, layer.scale.shape) == (np.float32, (rows,))
        assert (layer.bias.dtype, layer.bias.shape) == (np.float32, (rows,))
        assert 0 <= layer.input.zero <= 255
        assert layer.input.scale == np.float32(layer.input.scale) > 0


def test_a_first_token_keeps_the_last_outputs_in_float(model: Model, layers: dict[str, QuantizedLinear]) -> None:
    first = quantize(model.architecture, model.weights, model.sentences, first_only=True)
    assert first.keys() == layers.keys() - EXACT
    # Nothing is smoothed for a layer that stays, and all before it is the same.
    value = f"{LAST}.attention.self.value"
    assert not np.array_equal(first[value].scale, layers[value].scale)
    same = [name for name in first if not name.startswith(LAST)]
    assert all(np.array_equal(first[name].weight, layers[name].weight) for name in same)
    smooth = torch.from_numpy(first[value].input.smooth)
    assert close(product_weights(first[value]) * smooth, torch.from_numpy(model.weights[f"{value}.weight"]))


def test_the_integers_stand_for_the_weights(model: Model, layers: dict[str, QuantizedLinear]) -> None:
    for name, layer in layers.items():
        if layer.input.smooth is None or name.endswith(".value"):
            continue
        assert layer.input.smooth.shape == layer.weight.shape[1:]
        # Divided as they are, since channels that hardly matter may be rounded far off.
        expected = torch.from_numpy(model.weights[f"{name}.weight"]) / torch.from_numpy(layer.input.smooth)
        assert close(product_weights(layer)[: len(expected)], expected), name


def test_wide_channels_are_computed_in_steps(layers: dict[str, QuantizedLinear]) -> None:
    for i in range(LAYERS):
        up, down = layers[f"encoder.layer.{i}.intermediate.dense"], layers[f"encoder.layer.{i}.output.dense"]
        height = down.input.scale * (255 - down.input.zero)
        count: Counter[int] = Counter()
        for step in range(WIDE, WIDE + COPIES):
            (channel,) = np.flatnonzero((up.weight[:WIDE] == up.weight[step]).all(1)).tolist()
            shift = float(up.bias[channel] - up.bias[step])
            if shift < 1000:
                count[channel] += 1
                assert shift == pytest.approx(count[channel] * height, rel=0.01)
            else:  # a copy that was not needed
                assert not down.weight[:, step].any()
        assert count


def test_the_outputs_smoothing_is_in_the_values(model: Model, layers: dict[str, QuantizedLinear]) -> None:
    for i in range(LAYERS):
        value, output = f"encoder.layer.{i}.attention.self.value", f"encoder.layer.{i}.attention.output.dense"
        assert layers[output].input.smooth is None
        # A column of the output's weights is divided by the factor that the value's row is multiplied with.
        wide = torch.from_numpy(model.weights[f"{output}.weight"])
        narrow = product_weights(layers[output])
        factors = (wide * narrow).sum(0) / narrow.square().sum(0)
        assert float(factors.max() / factors.min()) > 1.5
        torch.testing.assert_close(float(factors.log().mean()), 0.0, rtol=0, atol=0.02)
        smooth = torch.from_numpy(layers[value].input.smooth)
        restored = product_weights(layers[value]) * smooth / factors[:, None]
        assert close(restored, torch.from_numpy(model.weights[f"{value}.weight"]))
        bias = torch.from_numpy(layers[value].bias) / factors
        torch.testing.assert_close(bias, torch.from_numpy(model.weights[f"{value}.bias"]), rtol=0.05, atol=0.05)


def test_layers_of_one_input_share_its_numbers(layers: dict[str, QuantizedLinear]) -> None:
    for i in range(LAYERS):
        query, key, value = (layers[f"encoder.layer.{i}.attention.self.{part}"].input for part in SELF)
        assert query is key is value


def test_a_layer_is_quantized_on_what_reaches_it(model: Model) -> None:
    """Its products are near those of the float stream's, and the same on average."""
    quantizer = _Quantizer(model.architecture, model.weights, Sample(model.sentences))
    name = "encoder.layer.0.intermediate.dense"
    with torch.inference_mode():
        x, _ = quantizer.embeddings()
        reaches = x + 0.05 + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        (y,) = quantizer.linear([name], (x, reaches), "up")
        layer = quantizer.layers[name]
        smooth, step, zero = torch.from_numpy(layer.input.smooth), layer.input.scale, layer.input.zero
        integers = ((reaches * smooth / step).round() + zero).clamp(0, 255) - zero
        by_hand = integers * step @ product_weights(layer).T + torch.from_numpy(layer.bias)
        in_float = x @ torch.from_numpy(model.weights[f"{name}.weight"]).T
        in_float += torch.from_numpy(model.weights[f"{name}.bias"])
    torch.testing.assert_close(y[0], in_float, rtol=0, atol=1e-5)
    torch.testing.assert_close(y[1], by_hand, rtol=0, atol=1e-4)
    torch.testing.assert_close(by_hand.mean(0), in_float.mean(0), rtol=0, atol=1e-4)
    # All of the range is used, and nothing of it cut off.
    used = integers + zero
    assert (float(used.min()), float(used.max())) == pytest.approx((0, 255), abs=1)


def test_the_same_numbers_every_time(model: Model, layers: dict[str, QuantizedLinear]) -> None:
    again = quantize(model.architecture, model.weights, model.sentences, first_only=False)
    assert again.keys() == layers.keys()
    for name, layer in layers.items():
        for ours, theirs in zip(dataclasses.astuple(again[name]), dataclasses.astuple(layer), strict=True):
            np.testing.assert_equal(ours, theirs)
