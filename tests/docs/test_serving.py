"""The page on serving: its commands and clients run against a server, and what it names exists."""

import re
import shutil
import subprocess
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import pytest

from simcse_engine import Index
from simcse_engine.cli.main import parser
from simcse_engine.serve.routes.table import ROUTES
from simcse_export.cli import parser as export_parser
from support.child import run_script
from support.clients import python_with_clients
from support.servers import Server, serving

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/serving.md"
PAGES = (PAGE, ROOT / "deploy/README.md")
ADDRESS = "http://127.0.0.1:8080"
# Options of curl, docker, granian and uvicorn.
OTHERS = {"--json", "--interface", "--root-path"}


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    return found


@pytest.fixture(scope="module")
def server(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("index") / "talks"
    Index.create(folder, artifact).close()
    with serving(artifact, "--index", folder) as server:
        yield server


def test_commands_are_answered(server: Server, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl")
    # A refusal is a failure, and its words are seen.
    strict = 'set -e\ncurl() { command curl --fail-with-body --silent --show-error --write-out "\\n" "$@"; }\n'
    script = strict + "".join(blocks("sh")).replace(ADDRESS, server.url)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answers = done.stdout.splitlines()
    assert len(answers) == script.count("curl --json")
    found, updated, got, counted, listed, removed = answers[-6:]
    assert all("A man plays a guitar." in answer for answer in (found, got, listed))
    assert (updated, counted, removed) == ('{"updated":1}', '{"count":1}', '{"removed":1}')
    assert ('"seen":true' in got, listed.endswith('"after":null}')) == (True, True)


def test_clients_get_vectors(server: Server) -> None:
    run_script("".join(blocks("py")).replace(ADDRESS, server.url), python=python_with_clients())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_exist(page: Path) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", page.read_text(encoding="utf-8")))
    assert named
    assert named <= OTHERS | options(parser()) | options(export_parser())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_routes_exist(page: Path) -> None:
    named = re.findall(rf"(?:`|{ADDRESS})(/[a-z0-9_./]*)(?=[`\s])", page.read_text(encoding="utf-8"))
    assert len(named) >= 2
    assert set(named) <= {route.path for route in ROUTES}


def test_files_exist() -> None:
    named = re.findall(r"`(deploy/[\w./-]*)`", PAGE.read_text(encoding="utf-8"))
    assert set(named) - {"deploy/"} == {
        f"deploy/{path.name}" for path in (ROOT / "deploy").iterdir() if path.name != "README.md"
    }
    listed = re.findall(r"^\| `([\w.-]+)` \|", (ROOT / "deploy/README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {f"deploy/{name}" for name in listed} == set(named) - {"deploy/"}


def options(parser: ArgumentParser) -> set[str]:
    """Of a parser, and of its commands'."""
    found = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action.choices, dict):
            for command in action.choices.values():
                found |= options(command)
    return found
