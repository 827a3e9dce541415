"""Our operators in the runtime: graphs of them are right, and hostile ones are errors that end nothing."""

import copy
import gc
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
from onnx import TensorProto

from support.kernels import Kernels, by_turns
from support.lanes import BYTES, PAIRS, PANEL, SINGLES
from support.layers import Layer, random_layer
from support.operators import Node, layer_node, open_session

HIDDEN = 24
LAYERS = [
    random_layer(kind, HIDDEN, 3, 40, first_only=first) for kind in (BYTES, PAIRS, SINGLES) for first in (False, True)
]
BIASED = [
    random_layer(kind, HIDDEN, 3, 40, first_only=first, longest=30) for kind, first in ((BYTES, False), (SINGLES, True))
]
LAYERS += BIASED
LENGTHS = np.array([3, 1, 4], np.int64)


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).normal(size=shape).astype(np.float32)


def states(rows: int = int(LENGTHS.sum()), hidden: int = HIDDEN) -> np.ndarray:
    wide = np.zeros((rows, -(-hidden // PANEL) * PANEL), np.float32)
    wide[:, :hidden] = floats(rows, hidden)
    return wide


def embeddings(quantized: bool) -> Node:
    inputs: dict[str, np.ndarray | None] = {"ids": None, "lengths": None}
    for name, rows in (("words", 10), ("positions", 6)):
        inputs[name] = np.ones((rows, HIDDEN), np.int8) if quantized else floats(rows, HIDDEN)
        if quantized:
            inputs[f"{name}.scale"] = floats(rows, 1)
    inputs |= {"gamma": floats(HIDDEN), "beta": floats(HIDDEN)}
    return Node(f"{'Quantized' if quantized else ''}Embeddings", inputs, {"epsilon": 1e-5, "padding_id": -1})


def pooling(pooler: str = "mean", head: bool = True, other: bool = True) -> Node:
    inputs: dict[str, np.ndarray | None] = {"states": None, "lengths": None, "other": None}
    inputs |= {"head.weight": floats(HIDDEN, HIDDEN) if head else None, "head.bias": floats(HIDDEN) if head else None}
    absent = {name for name, there in (("other", other), ("head.weight", head), ("head.bias", head)) if not there}
    attributes = {"pooler": pooler, "dimension": HIDDEN, "normalize": 1}
    return Node("Pooling", inputs, attributes, frozenset(absent))


NODES = [layer_node(layer) for layer in LAYERS]
NODES += [embeddings(False), embeddings(True), pooling(), pooling("first", head=False, other=False)]
NODES += [pooling(pooler, head=False, other=False) for pooler in ("max", "mean_sqrt_len", "weightedmean", "lasttoken")]


def feeds(node: Node, **changed: np.ndarray) -> dict[str, np.ndarray]:
    """What a run of the node takes."""
    by_sentence = node.attributes.get("pooler") == "first"
    rows = len(LENGTHS) if by_sentence else int(LENGTHS.sum())
    every = {"ids": np.arange(rows) % 10, "lengths": LENGTHS, "states": states(rows), "other": states(rows), **changed}
    return {
        name: every[name]
        for name, value in node.inputs.items()
        if value is None and name in every and name not in node.absent
    }


def run(kernels: Kernels, node: Node, types: dict[str, int] | None = None, **changed: np.ndarray) -> np.ndarray:
    return np.asarray(open_session(kernels, node.model(types)).run(None, feeds(node, **changed))[0])


@pytest.fixture(autouse=True)
def nothing_leaks(kernels: Kernels) -> Iterator[None]:
    """Sessions that ended and graphs that were refused leave no memory."""
    before = kernels.call("simcse_testing_allocations", 2**62)
    yield
    if kernels.call("simcse_testing_allocations", 2**62) != before:
        gc.collect()  # an error's frames may have held a session
    assert kernels.call("simcse_testing_allocations", 2**62) == before


def taken(action: Callable[[], object]) -> bool:
    """Whether the runtime does it, rather than raise an error of its own."""
    try:
        action()
    except Exception as error:
        if type(error).__module__.startswith("onnxruntime"):  # they have no class in common
            return False
        raise
    return True


def named(node: Node) -> str:
    kinds = {np.dtype(np.uint16): "bf16", np.dtype(np.float32): "fp32"}
    kind = next((kinds[v.dtype] for v in node.inputs.values() if v is not None and v.dtype in kinds), "")
    return f"{node.operator}-{kind}{'-biased' if 'attention.bias' in node.inputs else ''}"


every_node = pytest.mark.parametrize("node", NODES, ids=map(named, NODES))


@pytest.mark.parametrize("layer", LAYERS, ids=map(named, NODES[: len(LAYERS)]))
def test_a_layers_node_is_the_layer(kernels: Kernels, layer: Layer) -> None:
    found = run(kernels, layer_node(layer))
    expected = layer.reference(kernels, states()[:, :HIDDEN], LENGTHS.tolist())
    np.testing.assert_array_equal(found[:, :HIDDEN], expected)


@every_node
def test_a_good_graph_runs(kernels: Kernels, node: Node) -> None:
    assert np.isfinite(run(kernels, node)[:, :HIDDEN]).all()
    nothing = {"lengths": LENGTHS[:0], "states": states()[:0], "other": states()[:0], "ids": LENGTHS[:0]}
    assert len(run(kernels, node, **nothing)) == 0


@every_node
def test_constants_of_other_shapes_are_refused(kernels: Kernels, node: Node) -> None:
    for turn, (name, value) in enumerate(node.inputs.items()):
        if value is None:
            continue
        others = [np.full(2, value)] if value.ndim == 0 else []
        if value.ndim:
            others += [value[:-1], value[..., :-1], value[:0], np.concatenate([value, value]), value[None, None]]
        if value.ndim == 2:
            others += [value.reshape(-1), np.repeat(value, 3, axis=1)]
        for other in by_turns(others, turn):
            if value.ndim == 2 and value.shape[1] == 1 and other.size == value.size and other.ndim < 3:
                continue  # a vector is a column's equal
            if (
                name in ("words", "positions", "words.scale", "positions.scale")
                and other.size
                and other.shape[1:] == value.shape[1:]
            ):
                continue  # tables may have any number of rows; test_fewer_scales_than_rows has the rest
            if name == "attention.bias" and other.shape == (3, 3 * 59):
                continue  # those of longer sentences
            changed = copy.deepcopy(node)
            changed.inputs[name] = np.ascontiguousarray(other)
            assert not taken(partial(run, kernels, changed)), f"{name} of {other.shape} for {value.shape} was taken"


@every_node
def test_constants_of_other_types_are_refused(kernels: Kernels, node: Node) -> None:
    types = (np.float32, np.float64, np.int8, np.uint16)
    for turn, (name, value) in enumerate(node.inputs.items()):
        if value is None:
            continue
        for other in by_turns(types, turn):
            table = name in ("words", "positions") and value.dtype == np.float32 and other == np.uint16
            if other == value.dtype or table:
                continue
            changed = copy.deepcopy(node)
            changed.inputs[name] = np.abs(value).astype(other)
            assert not taken(partial(run, kernels, changed)), f"{name} of {other} was taken"


@every_node
def test_weights_that_are_no_constants_are_refused(kernels: Kernels, node: Node) -> None:
    for name, value in by_turns([*node.inputs.items()], NODES.index(node)):
        if value is None:
            continue
        changed = copy.deepcopy(node)
        changed.inputs[name] = None
        element = {np.int8: TensorProto.INT8, np.uint8: TensorProto.UINT8, np.uint16: TensorProto.BFLOAT16}
        types = {name: element.get(value.dtype.type, TensorProto.FLOAT)}
        model, fed = changed.model(types), {**feeds(changed), name: value}
        assert not taken(lambda m=model, f=fed: open_session(kernels, m).run(None, f)), f"{name} was taken from a feed"


@every_node
def test_absent_inputs_are_refused(kernels: Kernels, node: Node) -> None:
    needed = [name for name in node.inputs if name not in ("other", "attention.bias") and name not in node.absent]
    for name in by_turns(needed, NODES.index(node)):
        changed = copy.deepcopy(node)
        changed.absent = node.absent | {name}
        assert not taken(partial(run, kernels, changed)), f"it ran without {name}"
    for count in by_turns(range(len(node.inputs) - 1), NODES.index(node)):
        changed = copy.deepcopy(node)
        changed.inputs = dict(list(node.inputs.items())[:count])
        if node.operator == "Pooling" and count >= 2:
            continue
        assert not taken(partial(run, kernels, changed))


@every_node
def test_attributes_that_are_absent_or_out_of_range_are_refused(kernels: Kernels, node: Node) -> None:
    for turn, (name, value) in enumerate(node.attributes.items()):
        others: list[object] = [None, [1, 2], b"\xff" * 1000, 2**63 - 1, -(2**63), 0.5, "mean of all"]
        if name == "heads":
            others += [0, -1, 5, 7, HIDDEN + 1, 2**31, 2**32 + 3]
        if name == "dimension":
            others += [0, PANEL + 1, 2**31]
        for other in by_turns(others, turn):
            if name == "epsilon" and isinstance(other, float):
                continue
            changed = copy.deepcopy(node)
            changed.attributes[name] = other
            if other is None:
                del changed.attributes[name]
            assert not taken(partial(run, kernels, changed)), f"{name} was taken as {other!r} for {value!r}"


@every_node
def test_lengths_that_do_not_add_up_are_refused(kernels: Kernels, node: Node) -> None:
    total = int(LENGTHS.sum())
    bad = [
        [3, 1, 5],
        [3, 1],
        [0, 3, 5],
        [-1, 4, 5],
        [total, 0, 0],
        [2**63 - 1, 2, total - 1],
        [2**62, 2**62, 2**63 - 8],
    ]
    bad += [[-(2**63)] * 3, [2**31, 2**31, 8], []]
    for lengths in bad:
        if (
            node.attributes.get("pooler") == "first"
            and len(lengths) == len(LENGTHS)
            and 0 < min(lengths) <= max(lengths) < 10
        ):
            continue  # a first token's row needs no lengths
        assert not taken(partial(run, kernels, node, lengths=np.array(lengths, np.int64))), f"{lengths} were taken"


@pytest.mark.parametrize("layer", BIASED, ids=["bytes", "floats"])
def test_a_sentence_longer_than_the_biases_is_refused(kernels: Kernels, layer: Layer) -> None:
    for longest in (30, 31):
        lengths = np.array([1, longest], np.int64)
        action = partial(run, kernels, layer_node(layer), states=states(1 + longest), lengths=lengths)
        assert taken(action) == (longest == 30)


def test_a_sentence_whose_sums_might_not_fit_is_refused(kernels: Kernels) -> None:
    long = np.array([2**16 + 1], np.int64)
    assert not taken(partial(run, kernels, NODES[0], states=states(int(long[0])), lengths=long))


@every_node
def test_inputs_of_other_shapes_and_types_are_refused(kernels: Kernels, node: Node) -> None:
    rows = len(feeds(node).get("states", states()))
    if "ids" in node.inputs:
        changes = [{"ids": np.zeros((int(LENGTHS.sum()), 1), np.int64)}, {"ids": np.zeros((), np.int64)}]
        changes += [{"ids": np.full(int(LENGTHS.sum()), bad)} for bad in (-1, 10, 2**63 - 1, -(2**63))]
        changes += [{"ids": np.zeros(7, np.int64), "lengths": np.array([7])}]  # more than there are positions
    else:
        changes = [{"states": floats(rows, width)} for width in (0, 1, HIDDEN - 1, HIDDEN, 32, 65)]
        changes += [{"states": floats(rows)}, {"states": floats(rows, PANEL, 1)}, {"states": floats(rows + 1, PANEL)}]
        changes += [{"states": floats()}]
        if "other" in node.inputs and "other" not in node.absent:
            changes += [{"other": floats(rows, PANEL + 1)}, {"other": floats(rows - 1, PANEL)}, {"other": floats(rows)}]
    changes += [{"lengths": LENGTHS[None]}, {"lengths": np.array(8)}]
    for change in changes:
        assert not taken(partial(run, kernels, node, **change)), (
            f"{ {name: array.shape for name, array in change.items()} } was taken"
        )
    for name, element, array in (
        ("states", TensorProto.DOUBLE, states(rows).astype(np.float64)),
        ("lengths", TensorProto.INT32, LENGTHS.astype(np.int32)),
        ("lengths", TensorProto.FLOAT, LENGTHS.astype(np.float32)),
        ("ids", TensorProto.INT32, np.zeros(rows, np.int32)),
    ):
        if name in node.inputs:
            assert not taken(partial(run, kernels, node, {name: element}, **{name: array})), (
                f"{name} of type {element} was taken"
            )


def test_fewer_scales_than_rows_are_refused(kernels: Kernels) -> None:
    for name in ("words", "positions"):
        for rows in (1, 3, 11):
            node = embeddings(True)
            node.inputs[f"{name}.scale"] = floats(rows, 1)
            assert not taken(partial(run, kernels, node))


@pytest.mark.parametrize(("place", "value"), [*enumerate([0.0, -1.0, 1e-45, 3e38, np.inf, np.nan])])
@every_node
def test_constants_of_any_value_end_nothing(kernels: Kernels, node: Node, place: int, value: float) -> None:
    floating = [name for name, each in node.inputs.items() if each is not None and each.dtype == np.float32]
    for name in by_turns(floating, NODES.index(node) + place):
        changed = copy.deepcopy(node)
        changed.inputs[name] = np.full_like(node.inputs[name], value)
        run(kernels, changed)


def test_weights_that_do_not_multiply_exactly_everywhere_are_refused(kernels: Kernels) -> None:
    node = layer_node(LAYERS[0])
    for name in ("query.weight", "up.weight", "down.weight"):
        changed = copy.deepcopy(node)
        weight = np.zeros_like(node.inputs[name])
        weight[2:4, 5] = -128
        changed.inputs[name] = weight
        with pytest.raises(Exception, match="multiply exactly"):
            run(kernels, changed)


def test_runs_of_changing_sizes_keep_no_more_memory(kernels: Kernels) -> None:
    sessions = [open_session(kernels, layer_node(layer).model()) for layer in LAYERS]
    rng = np.random.default_rng(0)

    def runs(count: int) -> int:
        for _ in range(count):
            lengths = rng.integers(1, 30, rng.integers(1, 8))
            lengths[0] = 30
            for session in sessions:
                session.run(None, {"states": states(int(lengths.sum())), "lengths": lengths})
        return kernels.call("simcse_testing_alive")

    once = runs(40)
    assert runs(2000 // len(sessions)) == once
