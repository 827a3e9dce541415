"""The page on adapters: its examples run with the frameworks, and its table names what the tests have."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from support.frameworks import run_with_frameworks

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/integrations.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n\n```py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
ROWS = re.findall(r"^\| (\w+) \| `([\w-]+)` \| `(simcse_engine[\w.]+)\.\w+`.* \| ([\d.]+) \|$", PAGE, re.MULTILINE)

RUN = """
    import json, os, sys, warnings

    folder, artifact, examples = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    os.chdir(folder)
    os.symlink(artifact, "sup-simcse")
    warnings.simplefilter("ignore")  # the small model cuts texts
    for example in examples:
        names = {}
        exec(example, names)
        if "found" in names:
            # Chroma's answer has a list for each query.
            assert len(names["found"]["ids"][0] if "collection" in names else names["found"]) == 1
"""


def test_every_adapter_has_a_row_and_an_example() -> None:
    assert {framework for framework, *_ in ROWS} == SECTIONS.keys()
    folder = ROOT / "engine/simcse_engine/integrations"
    others = {"__init__", "encoders", "frameworks", "ray"}
    assert {module.rsplit(".", 1)[1] for _, _, module, _ in ROWS} == {p.stem for p in folder.glob("*.py")} - others
    for _, _, module, _ in ROWS:
        assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize(("framework", "package", "version"), [(row[0], row[1], row[3]) for row in ROWS])
def test_the_releases_are_those_of_the_tests(framework: str, package: str, version: str) -> None:
    assert f'"{package}=={version}"' in (ROOT / "tests/support/frameworks.py").read_text(encoding="utf-8"), framework


def test_examples_run(artifact: Path, tmp_path: Path) -> None:
    # MTEB's runs with the tests of its adapter.
    examples = [example for framework, example in SECTIONS.items() if framework != "MTEB"]
    assert all("found = " in example for example in examples)
    run_with_frameworks(RUN, tmp_path, artifact, json.dumps(examples))
