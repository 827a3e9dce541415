"""The documentation's examples run: Python blocks of the pages and the README, examples of docstrings."""

import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simcse_engine import Encoder

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTING_BLOCK = re.compile(r"^```python\n(.*?)^```\n\n^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The artifact that `make demo` exports, of the checkpoint that the README's commands name.
MINILM = ROOT / ".demo/minilm"

# Modules whose docstrings have examples that run as they stand.
MODULES = (
    "simcse_engine",
    "simcse_engine.encoder",
    "simcse_engine.measure.quality",
    "simcse_engine.session.tensorrt.plans",
)


def blocks() -> Iterator[Any]:
    for page in PAGES:
        for number, code in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), 1):
            yield pytest.param(code, id=f"{page.name}-{number}")


@pytest.mark.parametrize("code", list(blocks()))
def test_blocks_of_the_pages(code: str, artifact: Path, tmp_path: Path) -> None:
    exec(compile(code, "documentation", "exec"), {"artifact": artifact, "folder": tmp_path})


def test_there_are_blocks() -> None:
    assert len(list(blocks())) >= 8


def test_blocks_of_the_readme(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "minilm").symlink_to(artifact)
    examples = BLOCK.findall(README.read_text(encoding="utf-8"))
    assert len(examples) >= 2
    for code in examples:
        exec(compile(code, "README", "exec"), {})


def test_the_readme_shows_what_its_blocks_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (MINILM / "manifest.json").is_file():
        pytest.skip(f"no artifact at {MINILM}; make demo exports it")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "minilm").symlink_to(MINILM)
    examples = PRINTING_BLOCK.findall(README.read_text(encoding="utf-8"))
    assert len(examples) >= 2
    for code, output in examples:
        exec(compile(code, "README", "exec"), {})
        assert capsys.readouterr().out == output


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(name: str, artifact: Path) -> None:
    module = importlib.import_module(name)
    # The tiny model's dimension differs from the one that people read.
    with Encoder(artifact) as encoder:
        dimension = encoder.dimension
    ran = 0
    names = {**vars(module), "artifact": artifact}
    for test in doctest.DocTestFinder().find(module, name, globs=names):
        if not test.examples:
            continue
        for example in test.examples:
            example.want = re.sub(r"\b(384|768)\b", str(dimension), example.want)
        failures: list[str] = []
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=failures.append)
        assert result.failed == 0, "".join(failures)
        ran += result.attempted
    assert ran > 0
