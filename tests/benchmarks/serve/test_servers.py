import signal
import sys
from pathlib import Path

import pytest
from benchmarks.serve.servers import Server, ServerError, settle

pytestmark = pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="reads in /proc what a server takes")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_server_runs_until_it_is_told_to_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]
    with Server(lambda port: [*command, str(port)], health="/", cwd=tmp_path) as server:
        assert Path(f"/proc/{server.pid}/cmdline").read_bytes().endswith(f"\0{server.port}\0".encode())
        memory = server.memory_mb()
        assert 1 < memory["now"] <= memory["peak"]
        settle([server])
        assert server.code is None
        server.signal(signal.SIGTERM)
        assert server.wait() >= 0
        assert server.code == 128 + signal.SIGTERM


def test_a_server_that_ends_says_why() -> None:
    with pytest.raises(ServerError, match="it did not get ready: SystemExit: no model here"):
        Server(lambda _: python("print('more'); raise SystemExit('SystemExit: no model here')"), health="/")


def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.serve.servers._START_SECONDS", 0.2)
    with pytest.raises(ServerError, match="it did not get ready: it said nothing"):
        Server(lambda _: python("import time; time.sleep(60)"), health="/")
