"""Makes models with the peers' own tools: python -m benchmarks.contest.peers.workers.convert FUNCTION ARGUMENTS

Each function runs in the environment that has its tool.
"""

import importlib
import json
import sys
from pathlib import Path


def ctranslate2(packages: str, checkpoint: str, target: str) -> None:
    """CTranslate2's converter, where torch and transformers are; ``packages`` is the folder that has ctranslate2."""
    # At the end: of what both environments have, this one's is taken.
    sys.path.append(packages)
    importlib.import_module("ctranslate2.converters").TransformersConverter(checkpoint).convert(target, force=True)


def openvino_int8(source: str, target: str) -> None:
    """NNCF's static quantization after training, for transformers. Calibration texts come as JSON on stdin."""
    import nncf
    import openvino

    from .grid import Texts, inputs

    ids = Texts(source).ids(json.load(sys.stdin))
    # One at a time, so that padding is not calibrated on.
    samples = nncf.Dataset([inputs([each]) for each in ids])
    model = openvino.convert_model(Path(source, "model.onnx"))
    small = nncf.quantize(model, samples, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(ids))
    openvino.save_model(small, Path(target, "model.xml"), compress_to_fp16=False)


def sentence_onnx(source: str, target: str, configuration: str) -> None:
    """sentence-transformers' own ONNX export, and its dynamic quantization to onnx/model_int8.onnx."""
    from sentence_transformers import SentenceTransformer, export_dynamic_quantized_onnx_model

    options = {"provider": "CPUExecutionProvider", "export": True}
    model = SentenceTransformer(source, device="cpu", backend="onnx", local_files_only=True, model_kwargs=options)
    model.save_pretrained(target)
    export_dynamic_quantized_onnx_model(model, configuration, target, file_suffix="int8")


def dynamic_onnx(source: str, target: str, configuration: str) -> None:
    """Optimum's dynamic quantization of model.onnx to model_quantized.onnx."""
    from optimum.onnxruntime import AutoQuantizationConfig, ORTQuantizer

    # With one scale for each tensor, MiniLM's vectors have cosines of 0.88 to float32's.
    how = getattr(AutoQuantizationConfig, configuration)(is_static=False, per_channel=True)
    ORTQuantizer.from_pretrained(source, file_name="model.onnx").quantize(save_dir=target, quantization_config=how)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
