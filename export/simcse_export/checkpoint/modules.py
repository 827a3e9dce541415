"""The modules of a sentence-transformers folder that follow Pooling: what each file states, as parts of the tail."""

from collections.abc import Sequence
from pathlib import Path

from simcse_engine.errors import CheckpointError, UnsupportedModelError

from ..tail.dense import ACTIVATIONS, Dense
from ..tail.norm import Unit
from ..tail.part import Part
from .json_file import read_json, shown
from .keys import LAST, check_keys
from .weights import load_tensors, select


def read_last(folders: Sequence[tuple[str, Path]], warnings: list[str]) -> tuple[tuple[Part, ...], bool]:
    """The tail of a folder, of the kinds and folders of its last modules, and whether it ends in unit length.

    A Normalize at the end is no part of the tail: the export's options say whether vectors have unit length.
    """
    parts: list[Part] = []
    unit = False
    for kind, folder in folders:
        path = folder / "config.json"
        config = read_json(path) if path.exists() or kind == "Dense" else {}
        warnings += check_keys(path, config, LAST[kind])
        if kind == "Dense":
            dense = _dense(folder, config)
            if unit:
                parts.append(Unit(dense.features_in))
            parts.append(dense)
        unit = kind == "Normalize" or (unit and kind == "Dropout")
    return tuple(parts), unit


def _dense(folder: Path, config: dict[str, object]) -> Dense:
    path = folder / "config.json"
    sizes = config.get("out_features"), config.get("in_features")
    for name, size in zip(("out_features", "in_features"), sizes, strict=True):
        if type(size) is not int or size < 1:
            raise CheckpointError(f"{path}: {name} is {shown(size)}; expected a count of floats")
    bias = config.get("bias", True)
    if type(bias) is not bool:
        raise CheckpointError(f"{path}: bias is {shown(bias)}; expected true or false")
    # The library's own default.
    stated = config.get("activation_function", "torch.nn.modules.activation.Tanh")
    names = stated.split(".") if isinstance(stated, str) else [""]
    if names[:2] != ["torch", "nn"] or names[-1] not in ACTIVATIONS:
        raise UnsupportedModelError(
            f"{path}: activation_function is {shown(stated)}; of torch.nn's, {', '.join(ACTIVATIONS)} can be exported"
        )
    shapes = {"linear.weight": sizes, **({"linear.bias": sizes[:1]} if bias else {})}
    try:
        tensors = select(load_tensors(folder), shapes)  # type: ignore[arg-type]
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    return Dense(tensors["linear.weight"], tensors.get("linear.bias"), names[-1])
