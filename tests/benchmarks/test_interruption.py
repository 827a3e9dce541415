"""An interrupted or killed run leaves no process behind, and the same command goes on where it stopped."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import tether

ROOT = Path(__file__).resolve().parents[2]
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
PATIENCE = 60

pytestmark = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="reads in /proc which processes run")

# A worker whose work takes longer than the test has patience.
WORKER = """
import os, time
from pathlib import Path

def load(what):
    def encode(texts):
        Path(texts[0]).write_text(str(os.getpid()))
        time.sleep(600)
    return encode
"""

# A worker that forks while its requests are read, as OpenVINO's telemetry does: the child waits for stdin's lock.
FORKING = """
import multiprocessing, os, time
from pathlib import Path

def load(what):
    def encode(texts):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
        child.start()
        Path(texts[0]).write_text(str(child.pid))
        return [texts]
    return encode
"""

CLIENT = """
import sys
from pathlib import Path
from benchmarks.contest.peers.process import Process
from benchmarks.contest.peers.workers.protocol import Load, Setting

setting = Setting(batch=1, equal=False, workers=1, threads=1)
process = Process(Path(sys.executable), "worker")
process.load(Load(model="", folder="", pooler="avg", precision=None, setting=setting))
process.encode([sys.argv[1]])
process.close()
"""

# The suite itself, over two scripts of the test's.
SUITE = """
import sys
from pathlib import Path
from benchmarks import __main__ as run

folder = Path(sys.argv[1])
run.ANSWERED, run.RESULTS = folder / "answered.json", folder / "results"
run.QUESTIONS = [run.Question(name=name, minutes=1, model=None) for name in ("first", "second")]
sys.argv = ["benchmarks", "--peers"]
run.main()
"""
FIRST = """
from pathlib import Path
with Path(__file__).with_name("answers").open("a") as answers:
    answers.write("first\\n")
"""
# The first time, it starts a process that would outlive it, and never ends.
SECOND = """
import subprocess, time
from pathlib import Path

path = Path(__file__).with_name("pid")
if not path.exists():
    child = subprocess.Popen(["sleep", "600"])
    path.with_name("part").write_text(str(child.pid))
    path.with_name("part").rename(path)
    time.sleep(600)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Runs Python code, with the test's folder to import from."""
    started = []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}

    def run(code: str, *arguments: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_peer_does_not_outlive_its_client(
    number: signal.Signals, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "worker.py").write_text(WORKER, encoding="utf-8")
    client = start(CLIENT, tmp_path / "pid")
    worker = number_in(tmp_path / "pid")
    assert runs(worker)
    client.send_signal(number)
    client.communicate(timeout=PATIENCE)
    until(lambda: not runs(worker))


def test_what_a_peer_started_neither_outlives_it_nor_keeps_its_client(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "worker.py").write_text(FORKING, encoding="utf-8")
    client = start(CLIENT, tmp_path / "pid")
    client.communicate(timeout=PATIENCE)
    assert client.returncode == 0
    child = number_in(tmp_path / "pid")
    until(lambda: not runs(child))


@pytest.mark.parametrize("number", SIGNALS)
def test_the_suite_goes_on_and_leaves_nobody(
    number: signal.Signals, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "first.py").write_text(FIRST, encoding="utf-8")
    (tmp_path / "second.py").write_text(SECOND, encoding="utf-8")
    killed = start(SUITE, tmp_path)
    grandchild = number_in(tmp_path / "pid")
    assert runs(grandchild)
    killed.send_signal(number)
    output, _ = killed.communicate(timeout=PATIENCE)
    assert killed.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    until(lambda: not runs(grandchild))
    assert "2 of 2" not in output

    output, _ = start(SUITE, tmp_path).communicate(timeout=PATIENCE)
    assert "first: answered before" in output
    assert "2 of 2 answered" in output
    assert (tmp_path / "answers").read_text(encoding="utf-8") == "first\n"
    assert not (tmp_path / "answered.json").exists()


def test_a_failed_question_leaves_the_tables_of_the_others(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "first.py").write_text(FIRST, encoding="utf-8")
    (tmp_path / "second.py").write_text("raise SystemExit(1)", encoding="utf-8")
    shutil.copytree(ROOT / "benchmarks/results", tmp_path / "results")
    suite = start(SUITE, tmp_path)
    output, _ = suite.communicate(timeout=PATIENCE)
    assert suite.returncode == 1
    assert "1 of 2 answered" in output
    assert "\nspeed-minilm\n" in output
    assert (tmp_path / "answered.json").exists()


def test_a_tethered_command_dies_of_a_signal() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    assert tether.run([sys.executable, "-c", code]).returncode == 128 + signal.SIGTERM


def number_in(path: Path) -> int:
    until(lambda: path.is_file() and path.read_text(encoding="utf-8") != "")
    return int(path.read_text(encoding="utf-8"))


def runs(pid: int) -> bool:
    """Whether the process is there, and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
