"""sentence-transformers, on torch or on ONNX Runtime. It sorts by length and pads by itself."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from .protocol import Encode, Load


def load(load: Load) -> Encode:
    path = Path(load.model)
    torch.set_num_threads(load.setting.threads)
    if path.suffix == ".onnx":
        # Needed, and there, only with the ONNX backend.
        import onnxruntime

        session = onnxruntime.SessionOptions()
        session.intra_op_num_threads = load.setting.threads
        folder, backend, file = path.parent.parent, "onnx", f"{path.parent.name}/{path.name}"
        options = {"provider": "CPUExecutionProvider", "session_options": session, "file_name": file}
    else:
        folder, backend, options = path, "torch", {"torch_dtype": getattr(torch, load.precision)}
    model = SentenceTransformer(str(folder), device="cpu", backend=backend, local_files_only=True, model_kwargs=options)

    def encode(texts: list[str]) -> NDArray[np.float32]:
        return model.encode(texts, batch_size=load.setting.batch, show_progress_bar=False)

    return encode
