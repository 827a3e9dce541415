"""The documentation site builds strictly, and its command-line page agrees with the parsers."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
# A source in backticks, and the folders that its path may begin in.
SOURCE = re.compile(r"`((?:[\w-]+/)+[\w-]+\.py|(?:engine|export|benchmarks|tests|examples|docs)/[\w./-]+)`")
PLACES = (".", "engine/simcse_engine", "export/simcse_export", "benchmarks")
NEEDED = ("mkdocs", "material", "mkdocstrings_handlers.python")


def installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_it_builds_strictly(tmp_path: Path) -> None:
    missing = [name for name in NEEDED if not installed(name)]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not installed; pip install 'simcse-engine[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "site/api/index.html").read_text(encoding="utf-8")
    for name in ("simcse_engine.Encoder.encode", "simcse_engine.index.Index.search", "simcse_export.pipeline.export"):
        assert f'id="{name}"' in page


def test_the_commands_page_agrees_with_the_parsers() -> None:
    result = subprocess.run([sys.executable, ROOT / "docs/commands.py", "--check"], check=False)
    assert result.returncode == 0, "python docs/commands.py writes it again"


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = sorted(str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md"))
    assert pages
    assert [page for page in pages if f" {page}\n" not in menu] == []


def test_every_decision_is_in_their_index() -> None:
    folder = ROOT / "docs/decisions"
    index = (folder / "index.md").read_text(encoding="utf-8")
    notes = sorted(path.name for path in folder.glob("0*.md"))
    assert len(notes) >= 25
    assert [note for note in notes if f"({note})" not in index] == []


def test_the_files_that_pages_name_are_there() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in PAGES)]
    missing = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in pages
        for line in page.read_text(encoding="utf-8").splitlines()
        if "git log --" not in line
        for name in SOURCE.findall(line)
        if not any((ROOT / folder / name).exists() for folder in PLACES)
    ]
    assert missing == []


def test_the_decisions_that_the_source_names_are_there() -> None:
    sources = [path for folder in ("engine", "export", "benchmarks", "tests") for path in (ROOT / folder).rglob("*.py")]
    named = {
        note for path in sources for note in re.findall(r"docs/decisions/[\w-]+\.md", path.read_text(encoding="utf-8"))
    }
    assert sorted(note for note in named if not (ROOT / note).is_file()) == []
