"""ONNX for sentence-transformers, exported and quantized by its own helpers.

python -m benchmarks.contest.peers.workers.sentence_onnx FOLDER OUTPUT_FOLDER DYNAMIC_CONFIGURATION
"""

import sys

from sentence_transformers import SentenceTransformer, export_dynamic_quantized_onnx_model


def main(source: str, target: str, configuration: str) -> None:
    model = SentenceTransformer(
        source,
        device="cpu",
        backend="onnx",
        local_files_only=True,
        model_kwargs={"provider": "CPUExecutionProvider", "export": True},
    )
    model.save_pretrained(target)
    export_dynamic_quantized_onnx_model(model, configuration, target, file_suffix="int8")


if __name__ == "__main__":
    main(*sys.argv[1:])
