"""Every file that a graph could make the runtime open is found, however its ONNX file is written."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from simcse_engine.artifact.manifest import GRAPH, WEIGHTS
from simcse_engine.artifact.protobuf import UnreadableGraphError
from simcse_engine.artifact.references import files_named

OUTSIDE = "../../etc/passwd"


def outside(name: str = "w") -> onnx.TensorProto:
    """A tensor that lies in a file outside of the artifact."""
    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.UINT8, dims=[4])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=OUTSIDE)
    return tensor


def sparse(values: bool) -> onnx.SparseTensorProto:
    plain = helper.make_tensor("i", onnx.TensorProto.INT64, [1], [0])
    return helper.make_sparse_tensor(*((outside(), plain) if values else (plain, outside())), [4])


def model(nodes: list[onnx.NodeProto] | None = None, **parts: object) -> onnx.ModelProto:
    graph = helper.make_graph(nodes or [helper.make_node("Identity", ["x"], ["y"])], "g", [], [], **parts)
    return helper.make_model(graph)


def node(**attributes: object) -> onnx.NodeProto:
    return helper.make_node("Op", ["x"], ["y"], **attributes)


def nested(depth: int) -> onnx.GraphProto:
    graph = helper.make_graph([node(value=outside())], "g", [], [])
    for _ in range(depth):
        graph = helper.make_graph([node(body=graph)], "g", [], [])
    return graph


def function(**parts: object) -> onnx.ModelProto:
    made = helper.make_function("d", "F", ["x"], ["y"], [node()], [helper.make_opsetid("", 17)])
    for name, value in parts.items():
        getattr(made, name).append(value)
    return helper.make_model(helper.make_graph([node()], "g", [], []), functions=[made])


def training(field: str) -> onnx.ModelProto:
    made = model()
    getattr(made.training_info.add(), field).CopyFrom(helper.make_graph([], "g", [], [], initializer=[outside()]))
    return made


PLACES: dict[str, Callable[[], onnx.ModelProto]] = {
    "initializer": lambda: model(initializer=[outside()]),
    "sparse initializer's values": lambda: model(sparse_initializer=[sparse(values=True)]),
    "sparse initializer's indices": lambda: model(sparse_initializer=[sparse(values=False)]),
    "attribute's tensor": lambda: model([node(value=outside())]),
    "attribute's tensors": lambda: model([node(values=[outside()])]),
    "attribute's sparse tensor": lambda: model([node(value=sparse(values=True))]),
    "attribute's sparse tensors": lambda: model([node(values=[sparse(values=False)])]),
    "subgraph": lambda: model([node(body=nested(0))]),
    "subgraphs": lambda: model([node(bodies=[nested(0), nested(1)])]),
    "deep subgraph": lambda: model([node(body=nested(20))]),
    "function's node": lambda: function(node=node(value=outside())),
    "function's attribute": lambda: function(attribute_proto=helper.make_attribute("value", outside())),
    "training's start": lambda: training("initialization"),
    "training's step": lambda: training("algorithm"),
}


@pytest.mark.parametrize("place", PLACES)
def test_places_of_tensors(place: str) -> None:
    assert files_named(PLACES[place]().SerializeToString()) == {OUTSIDE.encode()}


def test_genuine_graph(artifact: Path) -> None:
    assert files_named((artifact / GRAPH).read_bytes()) == {WEIGHTS.encode()}


def test_graph_without_files() -> None:
    assert files_named(model(initializer=[helper.make_tensor("location", 1, [1], [0.0])]).SerializeToString()) == set()


PLAN = {"main_context": 1, "source": "TensorRT"}


@pytest.mark.parametrize(
    ("attributes", "names"),
    [
        ({"embed_mode": 0, "ep_cache_context": "engine-89.plan"}, {b"engine-89.plan"}),
        ({"embed_mode": 1, "ep_cache_context": "the plan itself"}, set()),
        ({"embed_mode": 2, "ep_cache_context": OUTSIDE}, {OUTSIDE.encode()}),
        ({"ep_cache_context": OUTSIDE}, {OUTSIDE.encode()}),
        ({"embed_mode": 1, "onnx_model_filename": OUTSIDE}, {OUTSIDE.encode()}),
        ({"embed_mode": 1, "onnx_model_filename": ""}, set()),
    ],
)
def test_compiled_graph(attributes: dict[str, object], names: set[bytes]) -> None:
    made = helper.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", **PLAN, **attributes)
    assert files_named(model([made]).SerializeToString()) == names
    assert files_named(model([node(body=helper.make_graph([made], "g", [], []))]).SerializeToString()) == names


def test_compiled_graph_that_says_twice_whether_it_holds_the_plan() -> None:
    made = helper.make_node("EPContext", ["x"], ["y"], embed_mode=1, ep_cache_context=OUTSIDE)
    made.attribute.add(name="embed_mode", type=onnx.AttributeProto.INT)  # 0, as it is not written
    assert files_named(model([made]).SerializeToString()) == {OUTSIDE.encode()}


def test_compiled_graph_in_a_function_whose_caller_names_the_file() -> None:
    made = helper.make_node("EPContext", ["x"], ["y"], embed_mode=0)
    made.attribute.add(name="ep_cache_context", type=onnx.AttributeProto.STRING, ref_attr_name="path")
    with pytest.raises(UnreadableGraphError, match="attribute of its function"):
        files_named(function(node=made).SerializeToString())


# Messages by hand: bytes of a field's number and wire type, of a length, of text.
def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    content = bytearray()
    while number > 0x7F:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*content, number])


def with_entry(entry: bytes) -> bytes:
    return field(7, field(5, field(13, entry)))


@pytest.mark.parametrize(
    "entry",
    [
        field(1, b"location") + field(2, b"out"),
        field(2, b"out") + field(1, b"location"),
        field(2, b"in") + field(1, b"location") + field(2, b"out"),
        field(1, b"location") + field(2, b"out") + field(2, b"in"),
        field(1, b"offset") + field(1, b"location") + field(2, b"out"),
        field(15, b"\x6a\x1b") + field(1, b"location") + field(2, b"out"),
        b"\x0a\x88\x80\x00location" + field(2, b"out"),
        b"\x8a\x80\x00\x08location" + field(2, b"out"),
    ],
)
def test_entries_written_in_odd_ways(entry: bytes) -> None:
    assert b"out" in files_named(with_entry(entry))
    parsed = onnx.load_from_string(with_entry(entry)).graph.initializer[0].external_data[0]
    assert parsed.key == "location"


def test_message_in_two_pieces() -> None:
    # A reader merges them: the first names the file, the second says that the tensor lies in one.
    first, second = onnx.TensorProto(), onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL)
    first.external_data.add(key="location", value=OUTSIDE)
    attribute = b"".join(field(5, piece.SerializeToString()) for piece in (first, second))
    graph = field(7, field(1, field(5, attribute)))
    assert onnx.load_from_string(graph).graph.node[0].attribute[0].t.external_data[0].value == OUTSIDE
    assert files_named(graph) == {OUTSIDE.encode()}


LOCATION = field(1, b"location") + field(2, b"out")


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(b"no graph", id="text"),
        pytest.param(with_entry(LOCATION)[:-1], id="truncated"),
        pytest.param(b"\x3a\xff\xff\xff\xff\x7flocation", id="length beyond the end"),
        pytest.param(b"\x3a" + b"\xff" * 9 + b"\x01location", id="length beyond 63 bits"),
        pytest.param(b"\x3a" + b"\x80" * 20 + b"\x01location", id="length that goes on"),
        pytest.param(b"\x3a", id="no length"),
        pytest.param(b"\x80", id="no tag"),
        pytest.param(b"\x02\x08location", id="field 0"),
        # A reader that takes 32 bits of it sees field 7.
        pytest.param(
            b"\xba\x80\x80\x80\x10" + varint(len(with_entry(LOCATION))) + with_entry(LOCATION), id="tag of 33 bits"
        ),
        pytest.param(b"\x3b" + with_entry(LOCATION) + b"\x3c", id="group"),
        pytest.param(b"\x3e", id="wire type 6"),
        pytest.param(b"\x09123", id="fixed number cut off"),
    ],
)
def test_what_no_writer_writes(graph: bytes) -> None:
    with pytest.raises(UnreadableGraphError):
        files_named(graph)


def test_nested_beyond_what_any_reader_takes() -> None:
    body = field(5, field(13, LOCATION))
    for _ in range(5_000):
        body = field(1, field(5, field(6, body)))
    with pytest.raises(UnreadableGraphError, match="nested more than 100 deep"):
        files_named(field(7, body))


def named_by_parsing(message: Message) -> Iterator[bytes]:
    """The locations that Google's reader finds anywhere in a message."""
    for descriptor, value in message.ListFields():
        for each in value if descriptor.is_repeated else [value]:
            if descriptor.name == "external_data" and each.key == "location":
                yield each.value if isinstance(each.value, bytes) else each.value.encode()  # bytes that are no UTF-8
            elif isinstance(each, Message):
                yield from named_by_parsing(each)


def check_against_parsing(content: bytes) -> None:
    try:
        named = files_named(content)
    except UnreadableGraphError:
        return
    try:
        parsed = onnx.load_from_string(content)
    except DecodeError:
        return
    assert set(named_by_parsing(parsed)) <= named


@given(place=st.sampled_from(sorted(PLACES)), data=st.data())
@settings(max_examples=150)
def test_altered_graphs_against_another_reader(place: str, data: st.DataObject) -> None:
    content = bytearray(PLACES[place]().SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(max_size=3))
        content[at : at + data.draw(st.integers(0, 3))] = piece
    check_against_parsing(bytes(content))


@given(st.lists(st.tuples(st.integers(1, 30), st.binary(max_size=8) | st.just(LOCATION))))
def test_made_up_messages_against_another_reader(parts: list[tuple[int, bytes]]) -> None:
    tensor = b"".join(field(number, content) for number, content in parts)
    check_against_parsing(field(7, field(5, tensor)))
    check_against_parsing(field(7, tensor))
    check_against_parsing(tensor)


@given(st.binary(max_size=60))
def test_noise(content: bytes) -> None:
    check_against_parsing(content + b"location")


def test_large_tensors_are_passed_over() -> None:
    tensor = onnx.numpy_helper.from_array(np.zeros(1_000_000, np.float32), "location")
    assert files_named(model(initializer=[tensor, outside()]).SerializeToString()) == {OUTSIDE.encode()}
