"""Fixtures: small artifacts exported here, and the real checkpoint where it lies beside the repository."""

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from simcse_engine import Manifest
from simcse_engine.machine.kernels import NONE, VARIABLE
from simcse_export import ExportOptions, export
from support.checkpoints import make_checkpoint
from support.releases import HAS_OPTIMUM
from support.ways import WAYS, variants

# No test measures time, so none fails for being slow on a busy machine.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# Where no kernels were built, nothing is wrong with that.
if not variants():
    os.environ.setdefault(VARIABLE, NONE)

# The longest files, longest first: they begin the suite, so that neither of its processes is left alone with one.
LONGEST = (
    "engine/kernels/test_sanitizers.py",
    "export/test_transformers_4.py",
    "parity/test_sts.py",
    "test_slim.py",
    "engine/shards/test_cluster.py",
    "parity/test_simcse_original.py",
    "parity/test_int8_real.py",
    "engine/kernels/test_emulated.py",
    "engine/integrations/test_ray.py",
    "export/checkpoint/test_sentence_transformers_releases.py",
    "engine/serve/clients/test_schemathesis.py",
    "engine/index/test_index_processes.py",
    "benchmarks/test_environment.py",
    "engine/kernels/test_build.py",
)

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest files first, and leave what is for transformers 4 to `tests/export/test_transformers_4.py`."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))  # others keep their order
    left = [] if HAS_OPTIMUM else [item for item in items if item.get_closest_marker("transformers_4")]
    if left:
        items[:] = [item for item in items if item not in left]
        config.hook.pytest_deselected(items=left)


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """Let signals end children: where a shell in the background or nohup started the suite, they would ignore some."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            # Children do not inherit a handler.
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else lambda *_: None)


@pytest.fixture(autouse=True, scope="session")
def _one_torch_thread() -> Iterator[None]:
    """torch on one thread: its pool on a shared machine's busy cores makes small models a hundred times slower."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random BERT checkpoint."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny-bert")


@pytest.fixture(scope="session")
def artifact(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact of `checkpoint` with pooler cls; read-only for all tests."""
    folder = tmp_path_factory.mktemp("artifact") / "tiny-cls"
    export(checkpoint, folder, ExportOptions(pooler="cls", max_tokens=32))
    return folder


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each way in turn in which an artifact can run here: what an encoder is opened in, in children too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, request.param)
        yield request.param


@pytest.fixture(scope="module", params=dict.fromkeys((WAYS[0], WAYS[-1])))
def with_and_without(request: pytest.FixtureRequest) -> Iterator[str]:
    """As `way`, for what costs more: our best kernels, and none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, request.param)
        yield request.param


@pytest.fixture(scope="session")
def prompted(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`artifact` with prompts: for queries, documents and what is neither; read-only."""
    folder = Path(shutil.copytree(artifact, tmp_path_factory.mktemp("prompted") / "tiny-cls"))
    prompts = {"query": "the cat: ", "document": "a man ", "other": "some one "}
    replace(Manifest.read(folder), prompts=prompts, default_prompt_name="other").write(folder)
    return folder


@pytest.fixture
def artifact_copy(artifact: Path, tmp_path: Path) -> Path:
    """A copy of `artifact` that a test may damage."""
    return Path(shutil.copytree(artifact, tmp_path / "copy"))


@pytest.fixture(scope="session")
def real_checkpoint() -> Path:
    """The real SimCSE MiniLM checkpoint, where the machine has it."""
    folder = SHARED / "checkpoints/simcse-minilm-l6"
    if not folder.is_dir():
        pytest.skip(f"no real checkpoint at {folder}")
    return folder


@pytest.fixture(scope="session")
def real_artifact(real_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real checkpoint's artifact with pooler cls."""
    folder = tmp_path_factory.mktemp("artifact") / "simcse-minilm-l6"
    export(real_checkpoint, folder, ExportOptions(pooler="cls"))
    return folder
