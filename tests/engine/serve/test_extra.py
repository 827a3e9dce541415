"""An installation without the extra says what to install."""

import subprocess
import sys

import pytest

from simcse_engine.serve.extra import missing

SCRIPT = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
from simcse_engine.cli.main import main
sys.exit(main(["serve", "some/artifact", "--port", "0"]))
"""


@pytest.mark.parametrize("library", ["uvicorn", "httptools", "msgspec", "orjson", "prometheus_client"])
def test_a_library_is_missing(library: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, library], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"simcse-engine: error: serving needs {library}, which is not installed; pip install 'simcse-engine[serve]'\n"
    )


def test_a_module_that_a_library_has_no_more_is_no_missing_library() -> None:
    error = ModuleNotFoundError("No module named 'uvicorn.protocols.moved'", name="uvicorn.protocols.moved")
    assert missing(error) is error
