"""Messages in Python's words and in the command line's."""

import pickle

import pytest

from simcse_engine.errors import IndexWarning, InputValueError, SimCSEError, TruncationWarning
from simcse_engine.wording import Wording, argument, item


def both(wording: Wording) -> tuple[str, str]:
    return wording.python, wording.command_line


def test_an_argument_is_an_option() -> None:
    assert both(argument("max_tokens", 64)) == ("max_tokens=64", "--max-tokens 64")
    assert both(argument("truncate", "warn")) == ("truncate='warn'", "--truncate warn")
    assert both(argument("same_model", True)) == ("same_model=True", "--same-model")
    assert argument("device", "x" * 100).command_line == f"--device {'x' * 40}"


def test_an_item_counts_from_one_for_people() -> None:
    metadata = item("metadata", 1234, called="metadata")
    assert both(metadata["year"][0]) == ("metadata[1234]['year'][0]", "metadata 1,235['year'][0]")
    assert len(metadata["x" * 100].cut().python) == 60


@pytest.mark.parametrize("kind", [SimCSEError, InputValueError, IndexWarning, TruncationWarning])
def test_both_messages(kind: type[Exception]) -> None:
    error = kind("it is cut; see ", argument("truncate", "error"))
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert str(each) == "it is cut; see truncate='error'"
        assert repr(each) == f"{kind.__name__}(\"it is cut; see truncate='error'\")"
        assert each.on_command_line() == "it is cut; see --truncate error"
    assert str(kind("as it is")) == kind("as it is").on_command_line() == "as it is"
