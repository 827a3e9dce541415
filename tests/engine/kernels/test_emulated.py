"""The tests of the kernels once more, over the build for Linux on ARM, under qemu."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from build_kernels.platforms import PLATFORMS
from support.emulator import qemu_aarch64
from support.kernels import COMMAND, Driven, build_for_tests

HERE = Path(__file__).parent

# glibc is no library for static programs; zig brings musl too.
STATIC_ARM = replace(PLATFORMS["linux-aarch64"], zig="aarch64-linux-musl")

ECHO = """
extern "C" int add(const float* values, long count, const char* word, float* sum) {
  for (long i = 0; i < count; ++i) *sum += values[i];
  return word[0] - 100;
}
extern "C" const char* greeting() { return "hello"; }
"""


@pytest.fixture(scope="module")
def emulator() -> str:
    found = qemu_aarch64()
    if found is None:
        pytest.skip("no qemu-aarch64: neither installed nor to fetch with apt-get download")
    return found


def test_the_kernels_of_arm(emulator: str) -> None:
    program = build_for_tests(platform=STATIC_ARM).program(HERE / "driver.cc")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--confcutdir", HERE, HERE]
    environment = {**os.environ, COMMAND: os.pathsep.join((emulator, str(program)))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]


def test_a_program_of_another_cpu_is_called_like_a_library(emulator: str, tmp_path: Path) -> None:
    (tmp_path / "testing.cc").write_text(ECHO)
    program = Driven(
        [emulator, str(build_for_tests(platform=STATIC_ARM, sources=tmp_path).program(HERE / "driver.cc"))]
    )
    total = np.zeros(1, np.float32)
    assert program.call("add", np.arange(5, dtype=np.float32), 5, b"a", total) == ord("a") - 100
    assert total[0] == 10
    assert program.text("greeting") == "hello"
    with pytest.raises(AttributeError, match="subtract"):
        program.call("subtract", total, None)
    program.close()
    assert program.program.returncode == 0
