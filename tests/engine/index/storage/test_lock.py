import json
import os
import socket
from pathlib import Path

import pytest

from simcse_engine.errors import IndexLockedError, OutputError
from simcse_engine.index.storage.lock import WriterLock
from support.child import run_script


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = WriterLock(path)
    assert lock.held
    about = json.loads(path.read_text())
    assert (about["pid"], about["host"]) == (os.getpid(), socket.gethostname())
    with pytest.raises(IndexLockedError, match=rf"process {os.getpid()} on .* since \d{{4}}-.*close it there first"):
        WriterLock(path)
    lock.release()
    lock.release()
    assert not lock.held
    assert path.read_text() == ""
    WriterLock(path).release()


def test_what_is_in_the_file_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for text in ('{"pid": 1, "host": "x", "since": "y"}', "\0garbage", "[]"):
        path.write_text(text)
        WriterLock(path).release()
    lock = WriterLock(path)
    path.write_text("garbage")
    with pytest.raises(IndexLockedError, match="another process has it open"):
        WriterLock(path)
    # No terminal obeys it.
    path.write_text(json.dumps({"pid": 1, "host": "\x1b[2J", "since": "now"}))
    with pytest.raises(IndexLockedError, match=r"process 1 on \\x1b\[2J has"):
        WriterLock(path)
    lock.release()


def test_dies_with_its_holder(tmp_path: Path) -> None:
    run_script(
        "import os, sys\nfrom pathlib import Path\nfrom simcse_engine.index.storage.lock import WriterLock\n"
        "lock = WriterLock(Path(sys.argv[1]))\nos._exit(0)",
        tmp_path / "lock",
    )
    WriterLock(tmp_path / "lock").release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_neither_holds_nor_frees_it(tmp_path: Path) -> None:
    script = """
        import os, sys, time
        from pathlib import Path
        from simcse_engine.errors import IndexLockedError
        from simcse_engine.index.storage.lock import WriterLock
        path = Path(sys.argv[1])
        lock = WriterLock(path)
        pid = os.fork()
        if pid == 0:
            assert not lock.held
            lock.release()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        try:
            WriterLock(path)
        except IndexLockedError:
            pass
        else:
            raise AssertionError("the child freed it")
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(write)
            os.read(read, 1)  # lives on while the parent lets go
            os._exit(0)
        lock.release()
        WriterLock(path).release()
        os.write(write, b"x")
        os.waitpid(pid, 0)
    """
    run_script(script, tmp_path / "lock")


def test_nowhere_to_write(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        WriterLock(tmp_path / "nowhere/lock")
