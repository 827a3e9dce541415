"""A checkpoint's weights as float32 arrays under canonical names, whatever its files, precision and naming."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from simcse_engine.errors import CheckpointError
from simcse_engine.session.library import first_line

from .adapters import refuse_adapter_tensors
from .architecture import Weights
from .names import canonical_name

_WORDS = "embeddings.word_embeddings.weight"

_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def load_weights(folder: Path) -> Weights:
    """Read all of a checkpoint's tensors.

    Safetensors before ``pytorch_model.bin``, whole or sharded; the latter is unpickled as weights only, so it cannot
    run code. SimCSE's training checkpoints (``bert.*`` or ``roberta.*`` and ``mlp.dense.*``) and converted ones
    (``pooler.dense.*``) come out alike, named as in transformers' bare BERT: ``embeddings.…``, ``encoder.layer.0.…``,
    ``pooler.dense.…``.
    """
    raw = _load(folder)
    refuse_adapter_tensors(raw)
    return canonical(raw)


def load_tensors(folder: Path) -> Weights:
    """Read all tensors of a module's folder, under their own names."""
    return {name: _array(name, tensor) for name, tensor in _load(folder).items()}


def _load(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for path in _files(folder) for name, tensor in _read(path)}


def canonical(raw: Mapping[str, torch.Tensor]) -> Weights:
    """Rename tensors to their canonical names, and turn them into float32."""
    # The model may be wrapped (bert., roberta., model.bert., module. …): drop the prefix of the embeddings' name.
    prefix = next((name.removesuffix(_WORDS) for name in raw if name.endswith(_WORDS)), "")
    weights: dict[str, NDArray[np.float32]] = {}
    for name, tensor in raw.items():
        if name.startswith(prefix):
            short = canonical_name(name.removeprefix(prefix))
            # Not the buffers that some checkpoints keep, such as position_ids.
            if tensor.is_floating_point() or short.endswith((".weight", ".bias")):
                weights[short] = _array(name, tensor)
    # SimCSE trains its head outside the encoder. Where there are two, the encoder's own is left over from pretraining.
    for name, tensor in raw.items():
        for part in ("weight", "bias"):
            if name.endswith(f"mlp.dense.{part}"):
                weights.pop(name.removeprefix(prefix), None)
                weights[f"pooler.dense.{part}"] = _array(name, tensor)
    return weights


def _array(name: str, tensor: torch.Tensor) -> NDArray[np.float32]:
    if tensor.dtype not in _DTYPES or tensor.layout != torch.strided or tensor.is_meta:
        kind = "meta" if tensor.is_meta else tensor.layout if tensor.layout != torch.strided else tensor.dtype
        raise CheckpointError(
            f"{name}: a tensor of {str(kind).removeprefix('torch.')}; expected one of "
            f"{', '.join(str(dtype).removeprefix('torch.') for dtype in _DTYPES)}, as before any quantization"
        )
    array: NDArray[np.float32] = tensor.detach().to(torch.float32).contiguous().numpy()
    return array


def select(weights: Weights, shapes: Mapping[str, tuple[int, ...]], *, optional: Iterable[str] = ()) -> Weights:
    """The tensors of these shapes, and the optional ones that are there."""
    for name, shape in shapes.items():
        if name not in weights:
            raise CheckpointError(f"the weights lack {name}; they are not those of this config, or incomplete")
        if weights[name].shape != shape:
            raise CheckpointError(f"{name} has shape {weights[name].shape}, the config says {shape}")
    return {name: weights[name] for name in (*shapes, *(name for name in optional if name in weights))}


def require_finite(weights: Weights) -> None:
    """Refuse NaN and infinity, and name the tensors that hold them."""
    names = [name for name, array in weights.items() if not np.isfinite(array).all()]
    if names:
        raise CheckpointError(
            f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if names[3:] else ''}: NaN or infinity among the "
            "float32 weights; training diverged, or the file is damaged"
        )


def digest(weights: Weights, numbers: Mapping[str, Any]) -> str:
    """sha256 over the architecture's numbers and every tensor's name, shape and float32 bytes."""
    hasher = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode())
    for name in sorted(weights):
        hasher.update(f"\n{name} {weights[name].shape}\n".encode())
        hasher.update(np.ascontiguousarray(weights[name]).data)
    return hasher.hexdigest()


def _files(folder: Path) -> list[Path]:
    for whole in ("model.safetensors", "pytorch_model.bin"):
        index = folder / f"{whole}.index.json"
        if (folder / whole).exists():
            return [folder / whole]
        if index.exists():
            try:
                names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
                foreign = [name for name in names if name in ("", "..") or Path(name).name != name]
            except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
                raise CheckpointError(f"{index}: cannot be read ({error!r})") from error
            if foreign:
                raise CheckpointError(f"{index}: names {foreign[0]!r:.80}; expected files that lie beside it")
            return [folder / name for name in names]
    raise CheckpointError(f"{folder}: no model.safetensors and no pytorch_model.bin in it, whole or sharded")


def _read(path: Path) -> list[tuple[str, torch.Tensor]]:
    if not path.is_file():
        raise CheckpointError(f"{path}: {'is a folder' if path.exists() else 'missing'}; expected a weights file")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return [(name, file.get_tensor(name)) for name in file.keys()]  # noqa: SIM118 - not a mapping
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # either library raises a dozen types for a damaged file
        raise CheckpointError(f"{path}: cannot be read ({first_line(error)}); is the download complete?") from error
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in loaded.items()
    ):
        raise CheckpointError(f"{path}: holds no state dict of tensors")
    return list(loaded.items())
