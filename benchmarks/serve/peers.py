"""The services: ours, and those to compare with, each in an environment of its own.

These are Infinity's server, with each of its engines that runs here, and FastAPI with sentence-transformers
(`fastapi_service`). `settings` finds the best setting of each.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from simcse_engine.artifact.manifest import Manifest

from ..contest.peers.environment import INFINITY, Environment
from ..contest.peers.models import dynamic_onnx, optimum_graph, sentence_folder
from ..inputs import Model
from ..record import ROOT
from .routes import EMBED, Route
from .servers import Command, Server

_SERVER = ("fastapi==0.165.0", "uvloop==0.23.0", "httptools==0.9.0")
# With what its extra [server] asks for, and its engines for ONNX and CTranslate2.
_INFINITY = Environment(
    name="infinity-server",
    requirements=(
        *(*INFINITY.requirements, *_SERVER, "uvicorn==0.32.1", "typer==0.12.5", "rich==13.9.4", "orjson==3.13.0"),
        *("click==8.1.8", "posthog==7.91.1", "prometheus-fastapi-instrumentator==8.1.0"),
        *("optimum-onnx==0.1.0", "onnxruntime==1.32.0", "ctranslate2==4.8.5"),
    ),
)
_FASTAPI = Environment(
    name="fastapi-server",
    requirements=("torch==2.13.0", "sentence-transformers==6.2.0", *_SERVER, "uvicorn==0.54.0"),
)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One way to start a service."""

    name: str
    command: Command
    route: Route
    precision: str = "FP32"
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = ROOT
    health: str = "/health"

    def start(self) -> Server:
        return Server(self.command, health=self.health, environment=self.environment, cwd=self.cwd)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A service that is not ours."""

    environment: Environment
    settings: Callable[[Model], list[Setting]]  # to choose from; the environment is there


def ours(artifact: Path, *options: str, route: Route = EMBED) -> Setting:
    """Our server on an artifact."""
    program = Path(sys.executable).with_name("simcse-engine")
    return Setting(
        name=" ".join([artifact.name, *options]),
        command=lambda port: [program, "serve", artifact, "--hostname", "127.0.0.1", "--port", str(port), *options],
        route=route,
        precision=Manifest.read(artifact).precision.upper(),
        health="/ready",
    )


def _infinity(model: Model) -> list[Setting]:
    """Engines, precisions and batch sizes; torch.compile and BetterTransformer are slower or gone."""
    route = Route(path="/embeddings", form="openai")
    program = _INFINITY.folder / "bin/infinity_emb"
    # Its ONNX engine names the file within the folder that it runs in, and keeps optimized graphs under HF_HOME.
    variables = {"INFINITY_ANONYMOUS_USAGE_STATS": "0", "HF_HUB_OFFLINE": "1", "INFINITY_QUEUE_SIZE": "64000"}
    names = ["--served-model-name", "model", "--host", "127.0.0.1", "--device", "cpu", "--log-level", "error"]
    # Its ONNX engine would take the first token's vector.
    names += ["--pooling-method", "mean" if model.pooler == "avg" else "cls"]

    def setting(engine: str, precision: str, batch: int, folder: Path, *options: str) -> Setting:
        local = engine == "optimum"
        source = "." if local else str(folder)
        what = ["--model-id", source, "--engine", engine, "--batch-size", str(batch), "--no-bettertransformer"]
        return Setting(
            name=f"{engine}, {precision}, batches of {batch}",
            command=lambda port: [program, "v2", *what, *names, *options, "--port", str(port)],
            route=route,
            precision=precision,
            environment={**variables, "HF_HOME": str(_INFINITY.folder / "cache")},
            cwd=folder if local else ROOT,
        )

    sentence, graph, small = sentence_folder(model), optimum_graph(model), dynamic_onnx(model, _INFINITY)
    return [
        *(setting("optimum", "INT8", batch, small, "--onnx-disable-optimize") for batch in (8, 16, 32, 64)),
        setting("optimum", "FP32", 32, graph, "--onnx-disable-optimize"),
        setting("torch", "FP32", 32, sentence, "--dtype", "float32", "--no-compile"),
        setting("torch", "INT8", 32, sentence, "--dtype", "int8", "--no-compile"),
        setting("ctranslate2", "FP32", 32, sentence, "--dtype", "float32"),
    ]


def _fastapi(model: Model) -> list[Setting]:
    folder = sentence_folder(model)
    service = "benchmarks.serve.fastapi_service:app"
    options = ["--host", "127.0.0.1", "--no-access-log", "--log-level", "error"]
    return [
        Setting(
            name=name,
            command=lambda port: [_FASTAPI.python, "-m", "uvicorn", service, *options, "--port", str(port)],
            route=Route(path=path, form="embed"),
            environment={"MODEL": str(folder), "HF_HUB_OFFLINE": "1"},
        )
        for name, path in (("in FastAPI's threads", "/embed"), ("one request at a time", "/embed-in-turn"))
    ]


PEERS = {
    "infinity-server": Peer(environment=_INFINITY, settings=_infinity),
    "fastapi": Peer(environment=_FASTAPI, settings=_fastapi),
}
