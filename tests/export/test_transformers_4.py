"""What only transformers 4 can show, optimum's graphs before all, beside it in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.releases import HAS_OPTIMUM, LAST_4, beside

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(HAS_OPTIMUM, reason="transformers 4 and optimum are here, and so are their tests")
def test_all_tests_of_transformers_4_pass_beside_it(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-m", "transformers_4", "--quiet", "--tb=short"),
            *("-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={tmp_path / 'child'}", ROOT / "tests/export"),
        ],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": beside(LAST_4)},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"beside transformers {LAST_4}, pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
