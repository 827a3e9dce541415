"""Is our work on a GPU right, and how fast is it? One command for a machine with an NVIDIA GPU.

First of every artifact (float16 and float32 for CUDA, and TensorRT's engines where its libraries are): its own check
texts, cosines to float32 on the CPU, STS, where each node runs, and memory over 10,000 batches. Then beside
transformers on torch and sentence-transformers, on the same sentences, everybody in turns: bulk work from texts, token
ids by length and as a share of the matrix peak of the same run, and one sentence at a time.

    python -m benchmarks.gpu                        all of it, to benchmarks/results/gpu-MODEL.json
    python -m benchmarks.gpu --models minilm
    python -m benchmarks.gpu --checks               correctness alone
    python -m benchmarks.gpu --short                a fraction of the work, in two minutes a model
    python -m benchmarks.gpu --device cpu --trial   on any machine: that the script works (BENCH_RESULTS=/tmp/trial)

Wants the extras [export], [gpu] and sentence-transformers, in an environment without the CPU's onnxruntime.
"""

import argparse
import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcse_engine import Encoder, UnverifiedWarning
from simcse_engine.artifact.manifest import Manifest
from simcse_engine.compiling import CompileOptions, compile_artifact
from simcse_engine.errors import SimCSEError
from simcse_engine.session.tensorrt.libraries import load_tensorrt

from ..contest.peers.models import BERT_BASE, MINILM, Model
from ..harness import ROOT, write_result
from ..inputs import BENCH, bert_base, minilm, sentences
from . import checks, torch_peers
from .speed import SHORT, TRIAL, Work, speed

_STS = ROOT.parent / "shared/sts"


@dataclass(frozen=True, kw_only=True)
class Match:
    """A model and its artifacts.

    Attributes:
        artifact: of a precision and target, makes one where it is not there.
        trained: whether it has a quality to lose.
    """

    model: Model
    artifact: Callable[..., Path]
    trained: bool


MATCHES = {
    "minilm": Match(model=MINILM, artifact=minilm, trained=True),
    "bert-base": Match(model=BERT_BASE, artifact=bert_base, trained=False),
}


def main() -> None:
    asked = arguments()
    work = TRIAL if asked.trial else SHORT if asked.short else Work()
    gpu = torch_peers.device_name(asked.device)
    for name in asked.models:
        match = MATCHES[name]
        print(f"\n{name} on {gpu}", flush=True)
        artifacts, absent = prepared(name, asked)
        exact = match.artifact("fp32", "cpu")
        result: dict[str, Any] = {"gpu": gpu, "model": name, "work": work, "not_made": absent, "checks": {}}
        # Written after each question: a GPU may be lent for minutes.
        for key, artifact in artifacts.items():
            sts = asked.sts if match.trained and not asked.trial else None
            result["checks"][key] = check(artifact, exact, asked.device, work, sts)
            write_result(f"gpu-{name}", result)
        if not asked.checks:
            with contextlib.ExitStack() as stack:
                ours = {key: stack.enter_context(opened(artifacts[key], asked.device)) for key in artifacts}
                for answer in speed(ours, match.model, asked.device, work):
                    result |= answer
                    write_result(f"gpu-{name}", result)


def prepared(name: str, asked: argparse.Namespace) -> tuple[dict[str, Path], dict[str, str]]:
    """Our artifacts by name, the one that ratios are of first, and why others could not be made."""
    match, device = MATCHES[name], asked.device
    if device == "cpu":
        # In a trial it stands in for those of a GPU.
        return {"ours": match.artifact("fp32", "cpu")}, {}
    found = {"ours": match.artifact("fp16", "cuda")}
    if not asked.fp16:
        found["ours-fp32"] = match.artifact("fp32", "cuda")
    absent = {}
    for precision in ("fp16", "int8"):
        key = f"ours-tensorrt-{precision}"
        output = BENCH / f"{name}-{precision}-tensorrt-compiled"
        try:
            # Before the export, which takes minutes.
            load_tensorrt()
            compile_artifact(
                match.artifact(precision, "tensorrt"), output, CompileOptions(device=device, force=True), say=print
            )
            found[key] = output
        except SimCSEError as error:
            absent[key] = str(error)
            print(f"  {key}: not made: {error}", flush=True)
    return found, absent


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MATCHES, default=list(MATCHES))
    parser.add_argument("--device", default="cuda:0", help="cuda:N, or cpu with --trial")
    parser.add_argument("--fp16", action="store_true", help="without ours in float32")
    parser.add_argument("--checks", action="store_true", help="no timing")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--short", action="store_true", help="a fraction of the work")
    amount.add_argument("--trial", action="store_true", help="a little of everything")
    parser.add_argument("--sts", type=Path, default=_STS if _STS.is_dir() else None, metavar="FOLDER")
    asked = parser.parse_args()
    if asked.device == "cpu" and not asked.trial:
        parser.error("--device cpu goes with --trial: figures of a CPU say nothing here")
    return asked


def check(artifact: Path, exact: Path, device: str, work: Work, sts: Path | None) -> dict[str, Any]:
    """Every check of one artifact; what fails is told, and the others go on."""
    texts = sentences().texts[: work.sentences]
    found: dict[str, Any] = {"identity": Manifest.read(artifact).identity}
    questions: dict[str, Callable[[], dict[str, Any]]] = {
        "verified": lambda: checks.verified(artifact, device),
    }
    # An engine is one node, and what opens it takes no other.
    if Manifest.read(artifact).target in ("cpu", "cuda"):
        questions["placement"] = lambda: checks.placement(artifact, device)
    with Encoder(exact, device="cpu", truncate="silent") as reference:

        def on_device(ask: Callable[..., dict[str, Any]], *given: Any, **more: Any) -> dict[str, Any]:
            with opened(artifact, device) as encoder:
                return ask(encoder, *given, **more)

        questions["agreement"] = lambda: on_device(checks.agreement, reference, texts)
        if sts is not None:
            questions["spearman"] = lambda: on_device(checks.spearman, reference, sts)
        questions["threads"] = lambda: on_device(checks.threads, texts)
        questions["memory"] = lambda: on_device(checks.memory, batches=work.batches, device=device)
        for name, ask in questions.items():
            try:
                found[name] = ask()
            except (SimCSEError, RuntimeError) as error:
                found[name] = {"error": str(error), "met": False}
            print(f"  {artifact.name}: {name}: {'ok' if found[name]['met'] else 'NOT MET'}  {found[name]}", flush=True)
    return found


@contextlib.contextmanager
def opened(artifact: Path, device: str) -> Iterator[Encoder]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnverifiedWarning)
        encoder = Encoder(artifact, device=device, truncate="silent")
    with encoder:
        yield encoder


if __name__ == "__main__":
    sys.exit(main())
