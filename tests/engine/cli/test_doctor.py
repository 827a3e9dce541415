"""The command doctor."""

import json

import pytest

from simcse_engine import __version__
from support.commands import run


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    code = run("doctor")
    assert __version__ in capsys.readouterr().out
    assert run("doctor", "--json") == code
    assert json.loads(capsys.readouterr().out)["healthy"] is (code == 0)
