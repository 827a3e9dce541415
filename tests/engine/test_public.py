"""What the packages offer is what they list."""

import importlib
import inspect
import re
from importlib.metadata import version
from pathlib import Path

import pytest

import simcse_engine
import simcse_export
from support.child import run_script

PACKAGES = [simcse_engine, simcse_export]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_all_is_complete(package: object) -> None:
    listed = package.__all__  # type: ignore[attr-defined]
    own = {n for n, v in vars(package).items() if getattr(v, "__module__", "").startswith(package.__name__)}  # type: ignore[attr-defined]
    assert {name for name in own if not name.startswith("_")} <= set(listed)
    assert len(set(listed)) == len(listed)
    for name in listed:
        assert getattr(package, name) is not None


def test_version() -> None:
    assert simcse_engine.__version__ == version("simcse-engine")
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", simcse_engine.__version__)


def test_a_start_imports_nothing_that_reads_or_writes_formats() -> None:
    script = "import sys, simcse_engine; print([m for m in sys.modules if m.startswith('simcse_engine.files')])"
    assert run_script(script) == "[]\n"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_typed(package: object) -> None:
    folder = Path(inspect.getfile(package)).parent  # type: ignore[arg-type]
    assert (folder / "py.typed").is_file()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_module_and_public_name_says_what_it_is(package: object) -> None:
    folder = Path(inspect.getfile(package)).parent  # type: ignore[arg-type]
    for path in folder.glob("[!_]*.py"):
        module = importlib.import_module(f"{package.__name__}.{path.stem}")  # type: ignore[attr-defined]
        assert module.__doc__
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(value) or inspect.isfunction(value):
                assert inspect.getdoc(value), f"{module.__name__}.{name}"
