"""The models in the form each peer reads; each is made once."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from simcse_engine.machine import cpu

from ... import tether
from ...inputs import Model, sentences
from ...record import BENCH, ROOT
from . import workers
from .environment import CTRANSLATE2, NNCF, OPTIMUM, SENTENCE_TRANSFORMERS_ONNX, Environment, PeerError
from .workers.grid import MAX_TOKENS

# INT8 is calibrated on these, which are never measured.
CALIBRATION_SENTENCES = 300


def calibration_texts() -> list[str]:
    return sentences().texts[:CALIBRATION_SENTENCES]


def measured_texts() -> list[str]:
    return sentences().texts[CALIBRATION_SENTENCES:]


def optimum_graph(model: Model) -> Path:
    """The folder of the graph that optimum exports, as model.onnx, and the tokenizer's files.

    For pooler "cls" it also has the head, as head.npz: the graph ends with the last layer.
    """

    def make(folder: Path) -> None:
        OPTIMUM.install()
        optimum = OPTIMUM.python.with_name("optimum-cli")
        options = ["--task", "feature-extraction", "--library", "transformers"]
        _run([optimum, "export", "onnx", "--model", model.checkpoint(), *options, folder])
        # FastEmbed cuts there, and the checkpoint's tokenizer says 128.
        settings = folder / "tokenizer_config.json"
        _write_json(settings, {**json.loads(settings.read_text(encoding="utf-8")), "max_length": MAX_TOKENS})
        if model.pooler == "cls":
            np.savez(folder / "head.npz", **_head(model))

    return _once(BENCH / f"optimum-{model.name}", make)


def openvino_int8(model: Model) -> Path:
    """The folder of the graph that NNCF quantizes after training, as model.xml."""
    source = optimum_graph(model)
    NNCF.install()

    def make(folder: Path) -> None:
        _convert(NNCF.python, "openvino_int8", source, folder, stdin=json.dumps(calibration_texts()))

    return _once(NNCF.folder / f"models/{model.name}-int8", make)


def ctranslate2(model: Model) -> Path:
    """The folder that CTranslate2's own converter makes, in float32; it can be loaded as int8."""

    def make(folder: Path) -> None:
        # The converter needs torch and transformers, which this environment has, and ctranslate2, which that one has.
        packages = next(CTRANSLATE2.folder.glob("lib/python*/site-packages"))
        _convert(Path(sys.executable), "ctranslate2", packages, model.checkpoint(), folder)

    return _once(CTRANSLATE2.folder / f"models/{model.name}", make)


def sentence_folder(model: Model) -> Path:
    """The checkpoint as sentence-transformers and Infinity read it: with the modules that follow the last layer."""

    def make(folder: Path) -> None:
        shutil.copytree(model.checkpoint(), folder, dirs_exist_ok=True)
        size = json.loads((folder / "config.json").read_text(encoding="utf-8"))["hidden_size"]
        mean = model.pooler == "avg"
        pooling = {"pooling_mode_mean_tokens": mean, "pooling_mode_cls_token": not mean}
        modules = {"Transformer": "", "Pooling": "1_Pooling"}
        _write_json(folder / "sentence_bert_config.json", {"max_seq_length": MAX_TOKENS, "do_lower_case": False})
        _write_json(folder / "1_Pooling/config.json", {"word_embedding_dimension": size, **pooling})
        if not mean:
            modules["Dense"] = "2_Dense"
            tanh = "torch.nn.modules.activation.Tanh"
            shape = {"in_features": size, "out_features": size, "bias": True, "activation_function": tanh}
            _write_json(folder / "2_Dense/config.json", shape)
            save_file(
                {f"linear.{name}": each for name, each in _head(model).items()}, folder / "2_Dense/model.safetensors"
            )
        modules["Normalize"] = "3_Normalize"
        kinds = [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (kind, path) in enumerate(modules.items())
        ]
        _write_json(folder / "modules.json", kinds)

    return _once(BENCH / f"sentence-{model.name}", make)


def sentence_onnx(model: Model) -> Path:
    """The folder that sentence-transformers makes: in onnx/, its export and what it quantizes that to."""
    source = sentence_folder(model)
    configuration = _quantization()

    def make(folder: Path) -> None:
        _convert(SENTENCE_TRANSFORMERS_ONNX.python, "sentence_onnx", source, folder, configuration)

    return _once(SENTENCE_TRANSFORMERS_ONNX.folder / f"models/{model.name}-{configuration}", make)


def dynamic_onnx(model: Model, environment: Environment) -> Path:
    """The folder of optimum's graph in INT8, as model_quantized.onnx: its dynamic quantization, in that environment."""
    source, configuration = optimum_graph(model), _quantization()

    def make(folder: Path) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.onnx"))
        _convert(environment.python, "dynamic_onnx", source, folder, configuration)

    return _once(environment.folder / f"models/{model.name}-{configuration}", make)


def _quantization() -> str:
    """The name of optimum's configuration for this CPU; it recommends the first where there is VNNI."""
    features = cpu.features()
    return "avx512_vnni" if "avx512_vnni" in features else "avx2" if "avx2" in features else "arm64"


def _head(model: Model) -> dict[str, np.ndarray]:
    """Weight and bias of the dense layer above the first token."""
    tensors = load_file(model.checkpoint() / "model.safetensors")
    return {name: tensors[f"pooler.dense.{name}"].astype(np.float32) for name in ("weight", "bias")}


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Make a folder whole or not at all, if it is not there."""
    if not folder.is_dir():
        print(f"making {folder.relative_to(ROOT)}", flush=True)
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        make(part)
        part.rename(folder)
    return folder


def _convert(python: Path, function: str, *arguments: str | Path, stdin: str | None = None) -> None:
    _run([python, "-m", f"{workers.__name__}.convert", function, *arguments], stdin=stdin)


def _run(command: list[str | os.PathLike[str]], *, stdin: str | None = None) -> None:
    done = tether.run(command, stdin=stdin, captured=True, cwd=ROOT)
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise PeerError(f"{Path(command[0]).name} ended with {done.returncode}: {last}".replace(f"{ROOT}/", ""))
