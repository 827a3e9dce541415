"""What is pushed to the hub opens again from there; what the hub refuses is told, and the artifact stays."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import simcse_engine
import simcse_export
from simcse_engine import Encoder, Manifest
from simcse_engine.errors import InputValueError, IntegrityError
from simcse_export import push_to_hub
from support.child import run_script
from support.environments import overlay
from support.hubs import NOWHERE
from support.writable_hub import READING_TOKEN, TOKEN, Repository, WritableHub, writable_hub

TEXT = "A man plays a guitar."
# Prints what became of push_to_hub(*argv), and what Encoder finds there.
PUSH = """
    import json, sys
    from simcse_engine import Encoder
    from simcse_engine.errors import SimCSEError
    from simcse_export import push_to_hub
    import huggingface_hub

    folder, where, *more = sys.argv[1:]
    try:
        address = push_to_hub(folder, where, private=bool(more))
    except SimCSEError as error:
        print(f"{type(error).__name__}: {error}")
    else:
        with Encoder(where, threads=1) as encoder:
            vectors = encoder.encode(["A man plays a guitar."]).tolist()
        print(json.dumps([huggingface_hub.__version__, address, vectors]))
"""
# Beside the installed release: the oldest that is supported, the last with requests, and the first ones with httpx.
_TLS = ("certifi==2025.11.12", "idna==3.11")
_REQUESTS = ("requests==2.32.5", "urllib3==2.6.1", "charset-normalizer==3.4.4", *_TLS)
RELEASES = {
    "0.24": ("huggingface-hub==0.24.0", *_REQUESTS),
    "0.36": ("huggingface-hub==0.36.2", *_REQUESTS),
    "1": ("huggingface-hub==1.33.0", "httpx==0.28.1", "httpcore==1.0.9", "h11==0.16.0", "anyio==4.16.0", *_TLS),
}


@pytest.fixture
def hub() -> Iterator[WritableHub]:
    with writable_hub() as server:
        yield server


def settings(home: Path, hub: WritableHub | None, token: str = TOKEN) -> dict[str, str]:
    """The environment of whoever has a token for the hub, and a cache of their own.

    Without Xet, whose storage is not the hub's own.
    """
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return {"HF_HOME": str(home), "HF_ENDPOINT": hub.url if hub else NOWHERE, "HF_TOKEN": token, **quiet}


def check_pushed(hub: WritableHub, artifact: Path, repository: str, branch: str = "main") -> None:
    pushed = hub.files(repository, branch)
    assert pushed.keys() == {".gitattributes", "README.md", *(path.name for path in artifact.iterdir())}
    assert all(pushed[path.name] == path.read_bytes() for path in artifact.iterdir())
    assert hub.unknown == []


@pytest.mark.parametrize("release", ["installed", *RELEASES])
def test_there_and_back(artifact: Path, tmp_path: Path, hub: WritableHub, release: str) -> None:
    environment = settings(tmp_path / "home", hub)
    if release != "installed":
        ours = [str(Path(package.__path__[0]).parent) for package in (simcse_engine, simcse_export)]
        environment["PYTHONPATH"] = os.pathsep.join([str(overlay(*RELEASES[release])), *ours])
    version, address, vectors = json.loads(run_script(PUSH, artifact, "user/name", **environment))
    assert release == "installed" or version.startswith(f"{release}.")
    assert address == f"{hub.url}/user/name"
    with Encoder(artifact) as encoder:
        assert vectors == encoder.encode([TEXT]).tolist()
    check_pushed(hub, artifact, "user/name")
    assert not hub.repositories["user/name"].private
    assert hub.repositories["user/name"].messages[1:] == [
        f"Artifact {Manifest.read(artifact).identity[:12]} of simcse-engine"
    ]


def test_a_branch_of_a_private_repository(artifact: Path, tmp_path: Path, hub: WritableHub) -> None:
    environment = settings(tmp_path / "home", hub)
    run_script(PUSH, artifact, "user/name@v2", "private", **environment)
    check_pushed(hub, artifact, "user/name", "v2")
    assert hub.repositories["user/name"].private
    assert hub.files("user/name").keys() == {".gitattributes"}
    assert 'Encoder("user/name@v2")' in hub.files("user/name", "v2")["README.md"].decode()


def test_a_second_push_replaces_the_first_and_leaves_other_files(
    artifact: Path, tmp_path: Path, hub: WritableHub
) -> None:
    environment = settings(tmp_path / "home", hub)
    run_script(PUSH, artifact, "user/name", **environment)
    hub.files("user/name").update({"README.md": b"edited", "LICENSE": b"theirs", "model.onnx": b"older"})
    run_script(PUSH, artifact, "user/name", **environment)
    assert hub.files("user/name").pop("LICENSE") == b"theirs"
    check_pushed(hub, artifact, "user/name")
    assert b"edited" not in hub.files("user/name")["README.md"]


def test_refusals(artifact: Path, tmp_path: Path, hub: WritableHub) -> None:
    home = tmp_path / "home"

    def refusal(*arguments: str, **environment: str) -> str:
        printed = run_script(PUSH, artifact, *arguments, **{**settings(home, hub), **environment})
        kind, _, message = printed.strip().partition(": ")
        assert kind == "OutputError"
        why, again = message.split("; " + str(artifact))
        private = ", private=True" if len(arguments) > 1 else ""
        assert again == f" is whole, push it again: push_to_hub({str(artifact)!r}, {arguments[0]!r}{private})"
        return why

    cannot = "user/name: cannot be pushed to the hub: "
    login = "log in with hf auth login, or set HF_TOKEN"
    assert refusal("user/name", HF_TOKEN="") == f"{cannot}there is no token here; {login}"
    assert refusal("user/name", HF_TOKEN="hf_other") == f"{cannot}it does not know this token; {login}"
    may_not = "this token may not write there; take one that may write as"
    assert refusal("user/name", HF_TOKEN=READING_TOKEN) == f"{cannot}{may_not} user"
    assert refusal("other/name") == f"other/name: cannot be pushed to the hub: {may_not} other"
    assert refusal("user/name", HF_HUB_OFFLINE="1") == f"{cannot}HF_HUB_OFFLINE is set; unset it"
    assert refusal("user/name", HF_ENDPOINT=NOWHERE).startswith(f"{cannot}{NOWHERE} cannot be reached (")
    assert refusal("user/na--me").startswith("user/na--me: cannot be pushed to the hub: Cannot have -- ")
    assert hub.repositories == {}

    run_script(PUSH, artifact, "user/name", **settings(home, hub))
    everybody = "everybody can read it; choose another name, make it private on the hub, or leave out private=True"
    assert refusal("user/name", "private") == f"user/name: is there already, and {everybody}"
    hub.breakdowns = 9
    hub.broken = "/api/models/user/name/commit/.*"
    # The second release of the hub's client says more before it.
    assert refusal("user/name").removeprefix(cannot).removeprefix("Server error '").startswith("500 ")
    assert len(hub.repositories["user/name"].commits) == 2


@pytest.mark.parametrize("release", RELEASES)
def test_refusals_of_other_releases(artifact: Path, tmp_path: Path, hub: WritableHub, release: str) -> None:
    ours = [str(Path(package.__path__[0]).parent) for package in (simcse_engine, simcse_export)]
    path = os.pathsep.join([str(overlay(*RELEASES[release])), *ours])
    for changed, reason in (
        ({"HF_TOKEN": ""}, "there is no token here"),
        ({"HF_TOKEN": "hf_other"}, "it does not know this token"),
        ({"HF_TOKEN": READING_TOKEN}, "this token may not write there"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        ({"HF_ENDPOINT": NOWHERE}, f"{NOWHERE} cannot be reached ("),
    ):
        environment = {**settings(tmp_path / "home", hub), "PYTHONPATH": path, **changed}
        printed = run_script(PUSH, artifact, "user/name", **environment)
        assert printed.startswith(f"OutputError: user/name: cannot be pushed to the hub: {reason}"), printed


def test_a_damaged_artifact_is_not_pushed(artifact_copy: Path) -> None:
    with (artifact_copy / "model.onnx.data").open("r+b") as file:
        file.write(b"damage")
    with pytest.raises(IntegrityError):
        push_to_hub(artifact_copy, "user/name")


@pytest.mark.parametrize("where", ["name", "./user/name", "/user/name", "user/name@", "a/b/c", ""])
def test_no_hub_id(artifact: Path, where: str) -> None:
    with pytest.raises(InputValueError, match=f"^repo_id={where!r}: is no hub id; expected user/name or user/name@bra"):
        push_to_hub(artifact, where)


COMMAND = "import sys; from simcse_export.cli import main; sys.stderr = sys.stdout; sys.exit(main(sys.argv[1:]))"


def command_refused(code: int, *arguments: object, **environment: str) -> str:
    """What the command says where it ends with a code that is not 0."""
    script = f"import subprocess, sys\ncommand = [sys.executable, '-c', {COMMAND!r}, *sys.argv[1:]]\n"
    script += f"done = subprocess.run(command, stdout=-1, text=True)\nassert done.returncode == {code}, done\n"
    return run_script(f"{script}print(done.stdout)", *arguments, **environment)


def test_the_command_asks_the_hub_before_it_works(checkpoint: Path, tmp_path: Path, hub: WritableHub) -> None:
    environment, artifact = settings(tmp_path / "home", hub, token=""), tmp_path / "artifact"
    options = [checkpoint, "-o", artifact, "--pooler", "cls"]
    assert "there is no token here" in command_refused(1, *options, "--push-to-hub", "user/name", **environment)
    assert "--push-to-hub name: is no hub id" in command_refused(2, *options, "--push-to-hub", "name", **environment)
    reading = settings(tmp_path / "home", hub, token=READING_TOKEN)
    pushed = [*options, "--push-to-hub", "user/name"]
    assert "this token may not write there; take one that may write as user" in command_refused(1, *pushed, **reading)
    hub.repositories["user/name"] = Repository(private=False)
    writing = settings(tmp_path / "home", hub)
    assert "or leave out --private" in command_refused(1, *pushed, "--private", **writing)
    assert "add --push-to-hub" in command_refused(2, *options, "--private", **environment)
    assert not artifact.exists()


def test_the_command_pushes_and_what_could_not_be_pushed_stays(
    checkpoint: Path, tmp_path: Path, hub: WritableHub
) -> None:
    script = """
        import sys
        from simcse_export.cli import main
        sys.stderr = sys.stdout
        assert main(sys.argv[1:]) == 1
        assert main([*sys.argv[1:], "--force", "--push-to-hub", "user/second"]) == 0
    """
    environment, artifact = settings(tmp_path / "home", hub), tmp_path / "artifact"
    hub.broken, hub.breakdowns = "/api/repos/create", 1
    options = [checkpoint, "-o", artifact, "--pooler", "cls", "--push-to-hub", "user/first"]
    printed = run_script(script, *options, **environment)
    assert printed.endswith(f"\npushed to {hub.url}/user/second\n")
    check_pushed(hub, artifact, "user/second")

    assert hub.repositories.keys() == {"user/second"}
    (command,) = re.findall(r"; .*/artifact is whole, push it again: python -c (.*)$", printed, re.MULTILINE)
    run_script(*shlex.split(command), **environment)
    check_pushed(hub, artifact, "user/first")
