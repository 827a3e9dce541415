"""OpenVINO by itself: its asynchronous queue for many batches, a plain request for one."""

import numpy as np
import openvino
from numpy.typing import NDArray

from .grid import Pooling, Texts, batches, inputs
from .protocol import Encode, Load

# Rows, inputs and output: a request reads its inputs in place, so they live until it is done.
_Job = tuple[list[int], dict[str, NDArray[np.int64]], NDArray[np.float32]]


class OpenVino:
    """A compiled model."""

    def __init__(self, load: Load) -> None:
        self._load = load
        workers = load.setting.workers
        config = {
            "PERFORMANCE_HINT": "THROUGHPUT" if workers > 1 else "LATENCY",
            "NUM_STREAMS": workers,
            "INFERENCE_NUM_THREADS": workers * load.setting.threads,
        }
        if load.precision is not None:
            config["INFERENCE_PRECISION_HINT"] = load.precision
        model = openvino.Core().compile_model(load.model, "CPU", config)
        self._texts, self._pooling = Texts(load.folder), Pooling(load)
        self._dimension = model.output(0).partial_shape[2].get_length()
        self._request = model.create_infer_request()
        # A second request for each stream: Python pads and pools for one while the other runs.
        self._queue = openvino.AsyncInferQueue(model, 2 * workers)
        self._queue.set_callback(self._done)

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Texts to vectors."""
        ids = self._texts.ids(texts)
        out = np.empty((len(texts), self._dimension), np.float32)
        parts = list(batches(ids, self._load))
        for rows in parts:
            arrays = inputs([ids[row] for row in rows])
            if len(parts) == 1:
                self._request.infer(arrays, share_inputs=True, share_outputs=True)
                self._done(self._request, (rows, arrays, out))
            else:
                self._queue.start_async(arrays, (rows, arrays, out), share_inputs=True)
        self._queue.wait_all()
        return out

    def _done(self, request: openvino.InferRequest, job: _Job) -> None:
        rows, arrays, out = job
        out[rows] = self._pooling.pool(request.get_output_tensor(0).data, arrays["attention_mask"])


def load(load: Load) -> Encode:
    return OpenVino(load).encode
