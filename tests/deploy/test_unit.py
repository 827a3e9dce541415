"""systemd's unit."""

import shlex
import shutil
import subprocess
from configparser import RawConfigParser, SectionProxy

import pytest

from support.deployment import DEPLOY, seconds, served

UNIT = DEPLOY / "simcse-engine.service"


class _Unit(RawConfigParser):
    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.fixture(scope="module")
def service() -> SectionProxy:
    unit = _Unit(strict=False)
    unit.read(UNIT, encoding="utf-8")
    return unit["Service"]


def test_it_serves_this_machine_with_a_key_that_only_it_sees(service: SectionProxy) -> None:
    args = served(shlex.split(service["ExecStart"]))
    assert args.hostname == "127.0.0.1"
    assert args.api_key_file == "${CREDENTIALS_DIRECTORY}/" + service["LoadCredential"].split(":")[0]


def test_it_ends_in_time(service: SectionProxy) -> None:
    assert seconds(service["TimeoutStopSec"]) > served(shlex.split(service["ExecStart"])).drain_seconds


def test_it_may_write_its_index_alone(service: SectionProxy) -> None:
    args = served(shlex.split(service["ExecStart"]))
    assert args.index.startswith(f"/var/lib/{service['StateDirectory']}/")
    assert service["ProtectSystem"] == "strict"
    assert service["DynamicUser"] == "yes"
    assert service["MemoryMax"]
    assert "ReadWritePaths" not in service


def test_systemd_reads_it() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    done = subprocess.run(["systemd-analyze", "verify", UNIT], capture_output=True, text=True, check=False)
    # The program is not installed where the unit says.
    assert [line for line in done.stderr.splitlines() if "is not executable" not in line] == []
