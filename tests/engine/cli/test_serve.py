"""The command `serve`: what it refuses."""

import socket
from pathlib import Path

import pytest

from support.commands import failure, wrong_use


def test_a_port_in_use(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        message = failure(capsys, "serve", artifact, "--port", str(other.getsockname()[1]))
    assert "another program listens there; choose another with --port" in message


def test_keys(artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "key"
    file.write_text("\n")
    assert failure(capsys, "serve", artifact, "--api-key-file", file).endswith("is empty; expected an API key\n")
    message = failure(capsys, "serve", artifact, "--api-key-file", file, "--api-key", "k")
    assert "leave one of them out" in message
    file.write_text("key \n")
    assert "begins or ends" in failure(capsys, "serve", artifact, "--api-key-file", file, "--port", "70000")
    assert "No such file" in failure(capsys, "serve", artifact, "--api-key-file", tmp_path / "none")


def test_an_empty_key_of_the_environment(
    artifact: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMCSE_API_KEY", "")
    # Where it is not refused, this is, and nothing is served.
    message = failure(capsys, "serve", artifact, "--port", "70000")
    assert "SIMCSE_API_KEY is set, and empty; expected an API key" in message


def test_values(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--port 70000: expected 0 to 65535" in failure(capsys, "serve", artifact, "--port", "70000")
    assert "--body-timeout" in failure(capsys, "serve", artifact, "--body-timeout", "0")
    assert "--drain-seconds" in failure(capsys, "serve", artifact, "--drain-seconds", "soon")
    assert "is not a whole number" in wrong_use(capsys, "serve", artifact, "--max-batch-tokens", "0")


def test_what_cannot_be_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failure(capsys, "serve", tmp_path, "--port", "0")
    failure(capsys, "serve", tmp_path, "--port", "0", "--uds", tmp_path / "s")
    assert not any(tmp_path.iterdir())
