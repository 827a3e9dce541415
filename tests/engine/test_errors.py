"""The tree that is drawn in the docstring is the tree of the classes."""

import inspect
import re

import pytest

from simcse_engine import errors
from simcse_engine.errors import SimCSEError

CLASSES = {
    name: found
    for name, found in vars(errors).items()
    if inspect.isclass(found) and issubclass(found, SimCSEError) and found.__module__ == errors.__name__
}


def drawn_tree() -> dict[str, str | None]:
    """Each class that the docstring draws, with the one that it hangs from."""
    parents: dict[str, str | None] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"(?P<branch>(?:[│├└─ ]*[├└]── )?)(?P<name>[A-Z]\w+Error)\b", line)
        if found is None:
            continue
        depth = len(found["branch"])
        path = [step for step in path if step[0] < depth]
        parents[found["name"]] = path[-1][1] if path else None
        path.append((depth, found["name"]))
    return parents


def test_every_class_is_drawn_where_it_hangs() -> None:
    parents = {
        name: next((base.__name__ for base in found.__bases__ if issubclass(base, SimCSEError)), None)
        for name, found in CLASSES.items()
    }
    assert drawn_tree() == parents
    assert len(parents) > 10


def test_warnings_are_named() -> None:
    found = [n for n, c in vars(errors).items() if inspect.isclass(c) and issubclass(c, Warning)]
    assert found == [
        *("TruncationWarning", "IndexWarning", "KernelsWarning", "UnverifiedWarning", "CheckpointWarning"),
    ]
    assert all(name in (errors.__doc__ or "") for name in found)


@pytest.mark.parametrize("found", CLASSES.values(), ids=CLASSES)
def test_says_what_it_is(found: type[SimCSEError]) -> None:
    assert found.__doc__
    assert found.__doc__.rstrip().endswith(".")
    assert str(found("what was found; what to do")) == "what was found; what to do"


def test_builtin_kin() -> None:
    assert issubclass(errors.InputTypeError, TypeError)
    assert issubclass(errors.InputValueError, ValueError)
    assert issubclass(errors.TruncationError, ValueError)
    assert issubclass(errors.TruncationWarning, UserWarning)
    assert not issubclass(SimCSEError, OSError)
