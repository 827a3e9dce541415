"""INT8 for OpenVINO: NNCF's static quantization after training, for transformers. Calibration texts come on stdin.

python -m benchmarks.contest.peers.workers.quantize GRAPH_FOLDER OUTPUT_FOLDER < texts.json
"""

import json
import sys
from pathlib import Path

import nncf
import numpy as np
import openvino
from numpy.typing import NDArray

from .grid import Texts, padded


def main(source: str, target: str) -> None:
    ids = Texts(source).ids(json.load(sys.stdin))
    # One at a time, so that padding is not calibrated on.
    samples = nncf.Dataset([_inputs(each) for each in ids])
    model = openvino.convert_model(Path(source, "model.onnx"))
    small = nncf.quantize(model, samples, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(ids))
    openvino.save_model(small, Path(target, "model.xml"), compress_to_fp16=False)


def _inputs(ids: list[int]) -> dict[str, NDArray[np.int64]]:
    grid, mask = padded([ids])
    return {"input_ids": grid, "attention_mask": mask, "token_type_ids": np.zeros_like(grid)}


if __name__ == "__main__":
    main(*sys.argv[1:])
