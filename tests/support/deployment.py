"""What the tests of `deploy/` share: its files as they are read by what runs them."""

import json
import re
from argparse import Namespace
from pathlib import Path

from simcse_engine.cli.main import parser
from simcse_engine.serve.routes.route import Route
from simcse_engine.serve.routes.table import ROUTES

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
IMAGES = ("Dockerfile", "Dockerfile.gpu")


def served(words: list[str]) -> Namespace:
    """What the command line makes of a `simcse-engine serve …`; fails where it refuses it."""
    program, command, *arguments = words
    assert (Path(program).name, command) == ("simcse-engine", "serve")
    return parser().parse_args([command, *arguments])


def seconds(text: str) -> int:
    """Of a time such as "40s"; without a unit it is seconds too."""
    return int(text.removesuffix("s"))


def route(path: str) -> Route:
    """The route that answers GET at this path."""
    (found,) = (route for route in ROUTES if (route.method, route.path) == ("GET", path))
    return found


class Image:
    """A Dockerfile.

    Attributes:
        stages: by name, each a list of instructions, FROM among them.
    """

    def __init__(self, name: str) -> None:
        text = (DEPLOY / name).read_text(encoding="utf-8")
        lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
        stage = "before"
        self.stages: dict[str, list[tuple[str, str]]] = {stage: []}
        for line in filter(None, map(str.strip, lines)):
            instruction, rest = line.split(maxsplit=1)
            if instruction == "FROM":
                stage = rest.split(" AS ")[1]
                assert stage not in self.stages
                self.stages[stage] = []
            self.stages[stage].append((instruction, rest))

    def all(self, stage: str, instruction: str) -> list[str]:
        """What stands behind the instructions of this name in a stage."""
        return [rest for name, rest in self.stages[stage] if name == instruction]

    def one(self, stage: str, instruction: str) -> str:
        """As `all`, of the only one."""
        (rest,) = self.all(stage, instruction)
        return rest

    def entry(self) -> list[str]:
        """The words that it runs."""
        return list(json.loads(self.one("runtime", "ENTRYPOINT")))
