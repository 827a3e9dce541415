"""The Dockerfiles, and what compose makes of one."""

import json
import re
import shlex
import tomllib
from typing import Any

import pytest
import yaml

from simcse_export.cli import parser as export_parser
from support.deployment import DEPLOY, IMAGES, ROOT, Image, route, seconds, served

STAGES = ["checkpoint", "wheel", "export", "artifact", "runtime"]


@pytest.fixture(scope="module", params=IMAGES)
def image(request: pytest.FixtureRequest) -> Image:
    return Image(request.param)


@pytest.fixture(scope="module")
def project() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_stages_are_made_of_earlier_ones_and_of_pythons_image(image: Image) -> None:
    assert list(image.stages) == ["before", *STAGES]
    for i, name in enumerate(STAGES):
        assert image.one(name, "FROM").split()[0] in ("scratch", "python:${PYTHON}-slim")
        sources = re.findall(r"(?:--from=|,from=)(\w+)", str(image.stages[name]))
        assert set(sources) <= set(STAGES[:i])
    assert "torch" not in str(image.stages["runtime"])


def test_the_context_is_what_is_copied(image: Image, project: Any) -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    ignored, *others = [line for line in lines if line and not line.startswith("#")]
    assert ignored == "*"
    taken = {line.removeprefix("!") for line in others if line.startswith("!")}
    assert {word for rest in image.all("wheel", "COPY") for word in rest.split()[:-1]} == taken
    assert all((ROOT / name).exists() for name in taken)
    # What a source distribution is made of is enough for a wheel.
    assert {name.strip("/") for name in project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]} <= taken


def test_extras_exist_and_the_runtime_has_none_to_export_with(image: Image, project: Any) -> None:
    def asked(stage: str) -> set[str]:
        (extras,) = re.findall(r"\.whl\)\[([\w,-]+)\]", " ".join(image.all(stage, "RUN")))
        return set(extras.split(","))

    assert asked("export") | asked("runtime") <= set(project["project"]["optional-dependencies"])
    assert "export" in asked("export")
    assert asked("runtime") in ({"cpu", "serve"}, {"gpu", "serve"})


def test_the_command_exports_what_is_asked_for(image: Image) -> None:
    (run,) = (rest for rest in image.all("export", "RUN") if "simcse-export" in rest)
    words = run.split("simcse-export ")[1]
    for name, value in (each.split("=") for each in image.all("export", "ARG")):
        words = words.replace(f"${name}", value)
    args = export_parser().parse_args(shlex.split(words))
    assert str(args.output) == image.one("artifact", "COPY").split()[1]


def test_it_serves_without_rights(image: Image) -> None:
    args = served(image.entry())
    assert image.one("runtime", "COPY").split()[-1] == args.artifact
    assert args.hostname == "0.0.0.0"
    assert image.one("runtime", "EXPOSE") == str(args.port)
    assert image.one("runtime", "STOPSIGNAL") == "SIGTERM"
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", image.one("runtime", "USER"))


def test_it_is_asked_for_its_health(image: Image) -> None:
    options, command = image.one("runtime", "HEALTHCHECK").split("CMD ")
    python, option, program = json.loads(command)
    assert (python, option) == ("python", "-c")
    compile(program, "health", "exec")
    port, path, inner = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)', timeout=(\d+)", program)[0]
    assert int(port) == served(image.entry()).port
    assert not route(path).guarded
    (outer,) = re.findall(r"--timeout=(\w+)", options)
    assert int(inner) < seconds(outer)


def test_compose_runs_the_image(image: Image) -> None:
    document = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    (service,) = document["services"].values()
    args = served([*image.entry(), *service["command"]])
    assert seconds(service["stop_grace_period"]) > args.drain_seconds
    assert args.api_key_file in {f"/run/secrets/{name}" for name in service["secrets"]}
    assert set(service["secrets"]) == set(document["secrets"])
    assert args.index in {volume.split(":")[1] for volume in service["volumes"]}
    assert service["ports"] == [f"127.0.0.1:{args.port}:{args.port}"]
    assert service["read_only"]
