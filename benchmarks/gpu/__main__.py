"""Is the engine right on a GPU, and how fast is it? One command for a machine with an NVIDIA GPU.

First come the checks of every artifact (float16 and float32 for CUDA, and TensorRT's plans where its libraries are):
its own check texts, cosines to float32 on the CPU, STS, where each node runs, and memory over 10,000 batches. Then come
timings beside transformers on torch and sentence-transformers, in turns: bulk work from texts, token ids by length and
as a share of the matrix peak of the same run, and one sentence at a time.

    python -m benchmarks.gpu                        all of it, to .bench/results/gpu-MODEL.json
    python -m benchmarks.gpu --models minilm
    python -m benchmarks.gpu --checks               correctness alone
    python -m benchmarks.gpu --short                a fraction of the work, in two minutes a model
    python -m benchmarks.gpu --device cpu --trial   on any machine: that the script works; to .bench/trial

Needs the extras [export], [gpu] and sentence-transformers, in an environment without the CPU's onnxruntime.
"""

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simcse_engine import Encoder, UnverifiedWarning
from simcse_engine.artifact.manifest import Manifest
from simcse_engine.compiling import CompileOptions, compile_artifact
from simcse_engine.errors import SimCSEError
from simcse_engine.session.tensorrt.libraries import load_tensorrt

from ..inputs import MINILM, MODELS, STS, sentences
from ..record import BENCH, RESULTS_VARIABLE, TRIAL, write_result
from . import checks, torch_peers
from .speed import LITTLE, SHORT, Work, speed


def main() -> None:
    arguments = parse()
    work = LITTLE if arguments.trial else SHORT if arguments.short else Work()
    if arguments.trial:
        os.environ[RESULTS_VARIABLE] = str(TRIAL)
    gpu = torch_peers.device_name(arguments.device)
    for name in arguments.models:
        model = MODELS[name]
        print(f"\n{name} on {gpu}", flush=True)
        artifacts, absent = prepared(name, arguments)
        exact = model.artifact("fp32", "cpu")
        result: dict[str, Any] = {"gpu": gpu, "model": name, "work": work, "not_made": absent, "checks": {}}
        # Written after each question: a GPU may be lent for minutes.
        for key, artifact in artifacts.items():
            sts = arguments.sts if model is MINILM and not arguments.trial else None
            result["checks"][key] = check(artifact, exact, arguments.device, work, sts)
            write_result(f"gpu-{name}", result, {})
        if not arguments.checks:
            with contextlib.ExitStack() as stack:
                ours = {key: stack.enter_context(opened(artifacts[key], arguments.device)) for key in artifacts}
                for answer in speed(ours, model, arguments.device, work):
                    write_result(f"gpu-{name}", result, answer)
                    result |= answer


def prepared(name: str, arguments: argparse.Namespace) -> tuple[dict[str, Path], dict[str, str]]:
    """Our artifacts by name, the base of all ratios first, and why others are missing."""
    model, device = MODELS[name], arguments.device
    if device == "cpu":
        # In a trial it replaces those of a GPU.
        return {"ours": model.artifact("fp32", "cpu")}, {}
    artifacts = {"ours": model.artifact("fp16", "cuda")}
    if not arguments.fp16:
        artifacts["ours-fp32"] = model.artifact("fp32", "cuda")
    absent = {}
    for precision in ("fp16", "int8"):
        key = f"ours-tensorrt-{precision}"
        output = BENCH / f"{name}-{precision}-tensorrt-compiled"
        try:
            # Before the export, which takes minutes.
            load_tensorrt()
            compile_artifact(
                model.artifact(precision, "tensorrt"), output, CompileOptions(device=device, force=True), say=print
            )
            artifacts[key] = output
        except SimCSEError as error:
            absent[key] = str(error)
            print(f"  {key}: missing: {error}", flush=True)
    return artifacts, absent


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--device", default="cuda:0", help="cuda:N, or cpu with --trial")
    parser.add_argument("--fp16", action="store_true", help="without ours in float32")
    parser.add_argument("--checks", action="store_true", help="no timing")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--short", action="store_true", help="a fraction of the work")
    amount.add_argument("--trial", action="store_true", help="a little of everything")
    parser.add_argument("--sts", type=Path, default=STS, metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.device == "cpu" and not arguments.trial:
        parser.error("--device cpu goes with --trial: figures of a CPU say nothing here")
    return arguments


def check(artifact: Path, exact: Path, device: str, work: Work, sts: Path | None) -> dict[str, Any]:
    """Every check of one artifact; one that fails is reported, and the others go on."""
    texts = sentences().texts[: work.sentences]
    manifest = Manifest.read(artifact)
    figures: dict[str, Any] = {"identity": manifest.identity}

    def ask(name: str, question: Callable[[], dict[str, Any]]) -> None:
        try:
            figures[name] = question()
        except (SimCSEError, RuntimeError) as error:
            figures[name] = {"error": str(error), "met": False}
        print(f"  {artifact.name}: {name}: {'ok' if figures[name]['met'] else 'NOT MET'}  {figures[name]}", flush=True)

    def on_device(question: Callable[..., dict[str, Any]], *arguments: Any, **options: Any) -> dict[str, Any]:
        with opened(artifact, device) as encoder:
            return question(encoder, *arguments, **options)

    ask("verified", lambda: checks.verified(artifact, device))
    # A plan is one node, and what opens it accepts no other.
    if manifest.target in ("cpu", "cuda"):
        ask("placement", lambda: checks.placement(artifact, device))
    with Encoder(exact, device="cpu", truncate="silent") as reference:
        ask("agreement", lambda: on_device(checks.agreement, reference, texts))
        if sts is not None:
            ask("spearman", lambda: on_device(checks.spearman, reference, sts))
        ask("threads", lambda: on_device(checks.threads, texts))
        ask("memory", lambda: on_device(checks.memory, batches=work.batches, device=device))
    return figures


def opened(artifact: Path, device: str) -> Encoder:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnverifiedWarning)
        return Encoder(artifact, device=device, truncate="silent")


if __name__ == "__main__":
    sys.exit(main())
