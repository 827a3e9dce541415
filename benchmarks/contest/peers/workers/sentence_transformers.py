"""sentence-transformers, on torch or on ONNX Runtime. It sorts by length and pads by itself."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from .protocol import Encode, Load


def load(load: Load) -> Encode:
    threads, path = load.setting.threads, Path(load.model)
    torch.set_num_threads(threads)
    if path.suffix == ".onnx":
        model = _on_onnx(path, threads)
    else:
        model = SentenceTransformer(
            str(path), device="cpu", local_files_only=True, model_kwargs={"torch_dtype": getattr(torch, load.precision)}
        )

    def encode(texts: list[str]) -> NDArray[np.float32]:
        return model.encode(texts, batch_size=load.setting.batch, show_progress_bar=False)

    return encode


def _on_onnx(path: Path, threads: int) -> SentenceTransformer:
    # Needed, and there, only with the ONNX backend.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return SentenceTransformer(
        str(path.parent.parent),
        device="cpu",
        backend="onnx",
        local_files_only=True,
        model_kwargs={
            "provider": "CPUExecutionProvider",
            "session_options": options,
            "file_name": f"{path.parent.name}/{path.name}",
        },
    )
