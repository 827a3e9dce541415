"""The fixture `kernels`: the native library's functions, in this process, checked by sanitizers, or on an emulated CPU.

Tests that take it run three times in `make test`: here, and by `test_sanitizers.py` and `test_emulated.py` in processes
of their own.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support.kernels import COMMAND, LIBRARY, Driven, Kernels, Loaded, build_for_tests

if LIBRARY in os.environ or COMMAND in os.environ:
    settings.register_profile("few", deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("few")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In those processes, only the tests that take `kernels`."""
    if LIBRARY in os.environ or COMMAND in os.environ:
        others = [item for item in items if "kernels" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.fixture(scope="session")
def kernels() -> Iterator[Kernels]:
    """The functions of the testing build, by `call(name, *arguments)`."""
    if COMMAND in os.environ:
        program = Driven(os.environ[COMMAND].split(os.pathsep))
        yield program
        program.close()
    else:
        chosen = os.environ.get(LIBRARY)
        yield Loaded(Path(chosen) if chosen else build_for_tests().library())
