"""The tests of the kernels once more, over a build that AddressSanitizer and UBSan check."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from support.kernels import LIBRARY, Loaded, build_for_tests
from support.sanitizers import REPORTS, address_runtime, run_sanitized

HERE = Path(__file__).parent

# Two faults that a kernel could have, to see that they are found.
FAULTS = """
#define EXPORT extern "C" __attribute__((visibility("default")))
EXPORT int past_the_end(const float* values, long count) { return (int)values[count]; }
EXPORT int overflow(long, long count) { return (int)count + 0x7fffffff; }
"""
CALL = """
import sys, ctypes, numpy as np
values = np.zeros(8, np.float32)
name, count = sys.argv[2], int(sys.argv[3])
getattr(ctypes.CDLL(sys.argv[1]), name)(ctypes.c_void_p(values.ctypes.data), ctypes.c_long(count))
"""


@pytest.fixture(scope="module")
def runtime() -> Path | None:
    return address_runtime(build_for_tests().compiler)


@pytest.fixture(scope="module")
def sanitizers(runtime: Path | None) -> tuple[str, ...]:
    return ("address", "undefined") if runtime else ("undefined",)


def test_the_kernels_are_clean(runtime: Path | None, sanitizers: tuple[str, ...]) -> None:
    # What this CPU cannot run is not compiled for it.
    variants = tuple(Loaded(build_for_tests().library()).text("simcse_kernels_variants").split(","))
    library = replace(build_for_tests(*sanitizers), sanitized=variants).library()
    # Uncaptured: a report is written as the process ends.
    command = [sys.executable, "-m", "pytest", "-qsx", "-p", "no:cacheprovider", "--confcutdir", HERE, HERE]
    done = run_sanitized(command, runtime, **{LIBRARY: str(library)})
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]


@pytest.mark.parametrize(("function", "good", "bad"), [("past_the_end", 7, 8), ("overflow", 0, 1)])
def test_a_fault_is_found(
    function: str, good: int, bad: int, runtime: Path | None, sanitizers: tuple[str, ...], tmp_path: Path
) -> None:
    if function == "past_the_end" and runtime is None:
        pytest.skip("no runtime of AddressSanitizer: neither GCC's nor clang's, and none to fetch")
    (tmp_path / "testing.cc").write_text(FAULTS)
    library = build_for_tests(*sanitizers, sources=tmp_path).library()
    command = [sys.executable, "-c", CALL, library, function]
    assert run_sanitized([*command, str(good)], runtime).returncode == 0
    found = run_sanitized([*command, str(bad)], runtime)
    assert found.returncode != 0
    assert any(report in found.stderr for report in REPORTS) or found.returncode == -4  # trapped
