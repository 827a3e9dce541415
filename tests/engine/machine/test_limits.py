"""A limit that is reached is named, with its value, whichever library meets it."""

import errno
import os
import resource
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from simcse_engine import Encoder
from simcse_engine.errors import ArtifactError, IndexLockedError, InputValueError, LimitError
from simcse_engine.machine.limits import check_threads, limit_error, naming_limits
from support.child import run_script
from support.indexes import filled

FILES, THREADS, MEMORY = "no more files can be opened", "no more threads can be started", "memory ran out"


@pytest.mark.parametrize(
    ("error", "beginning"),
    [
        (OSError(errno.EMFILE, "Too many open files", "a/b"), f"{FILES} (a/b): this process may have"),
        (OSError(errno.ENFILE, "Too many open files in system"), f"{FILES}: the whole system"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), f"{MEMORY}: "),
        (MemoryError(), f"{MEMORY}: "),
        (MemoryError("Unable to allocate 4 MiB"), f"{MEMORY} (Unable to allocate 4 MiB): "),
        (RuntimeError("can't start new thread"), f"{THREADS}: "),
        (RuntimeError("PosixThread pthread_create failed, error code: 11"), f"{THREADS}: "),
        (Exception("Too many open files (os error 24)"), f"{FILES}: "),
        (Exception(f"Load model from m.onnx failed:system error number {errno.EMFILE}"), f"{FILES}: "),
        (RuntimeError("bfc_arena.cc:360 Failed to allocate memory for requested buffer of size 8"), f"{MEMORY} (of"),
        (ImportError("libx.so: cannot open shared object file: Too many open files"), f"{FILES}: "),
    ],
)
def test_what_libraries_say(error: Exception, beginning: str) -> None:
    found = limit_error(error)
    assert found is not None
    assert str(found).startswith(beginning)
    # As the cause of another error, it is still what happened.
    outer = ArtifactError("a/b: cannot be read")
    outer.__cause__ = error
    assert str(limit_error(outer)) == str(found)
    with pytest.raises(LimitError, match=r"^(no more|memory)") as caught, naming_limits:
        raise outer
    assert caught.value.__cause__ is outer


def test_other_errors_pass() -> None:
    locked = IndexLockedError("another process has it")
    locked.__cause__ = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    late = ImportError("libgomp.so.1: cannot allocate memory in static TLS block")
    quoting = InputValueError("texts[0]: Too many open files")
    for error in (locked, late, quoting, FileNotFoundError("Too many open files")):
        assert limit_error(error) is None
        with pytest.raises(type(error)), naming_limits:
            raise error


def test_what_a_caller_raises_amid_a_stream_is_the_caller_s(artifact: Path) -> None:
    mine = RuntimeError("CUDA out of memory")

    def texts() -> Iterator[str]:
        yield "a man"
        raise mine

    def progress(_: int) -> None:
        raise mine

    with Encoder(artifact) as encoder:
        for stream in (encoder.stream(texts()), encoder.stream(["a man"], progress=progress)):
            with pytest.raises(RuntimeError) as caught:
                list(stream)
            assert caught.value is mine


def test_values_are_those_that_hold() -> None:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert f"may have {files:,} open at once (ulimit -n)" in str(limit_error(OSError(errno.EMFILE, "", "x")))
    processes, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    threads = limit_error(RuntimeError("can't start new thread"))
    assert threads is not None
    if processes != resource.RLIM_INFINITY:
        assert f"{processes:,} processes and threads (ulimit -u)" in str(threads)
    assert str(threads).endswith("threads=1")
    assert threads.on_command_line().endswith("--threads 1")


def test_threads_that_can_be_started_leave_none() -> None:
    tasks = Path("/proc/self/task")
    before = len(list(tasks.iterdir())) if tasks.exists() else 0
    check_threads(9)
    assert (len(list(tasks.iterdir())) if tasks.exists() else 0) <= before


def test_open_files(tmp_path: Path, artifact: Path) -> None:
    """From none on, until there are enough: whatever meets the limit first, it is named."""
    filled(tmp_path / "index", artifact, 200)
    script = """
        import resource, sys
        import numpy as np
        from simcse_engine import Encoder, Index
        from simcse_engine.errors import LimitError
        from simcse_engine.index.limits import SearchLimits
        def encode():
            with Encoder(sys.argv[1], threads=1) as encoder:
                encoder.encode(["a"])
        def search():
            limits = SearchLimits(exact_rows=50, extend_rows=20)
            with Index(sys.argv[2], limits=limits) as index:
                index.search(np.ones((1, 32)), k=2, exact=False)
                index.add(["a"])
                index.compact()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        for work in (encode, search):
            told = set()
            for files in range(3, 60):
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
                try:
                    work()
                    break
                except LimitError as error:
                    assert f"may have {files} open at once" in str(error), error
                    told.add(files)
            print(len(told) > 0, files < 59)
    """
    assert run_script(script, artifact, tmp_path / "index") == "True True\nTrue True\n"


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs a user without processes, so root")
def test_threads(artifact: Path) -> None:
    """The runtime waits for ever, and USearch ends the process, where a thread of theirs does not start."""
    script = """
        import ctypes, hashlib, os, random, resource, secrets, sqlite3, sys, tempfile
        import numpy, onnxruntime, tokenizers, usearch.index
        from simcse_engine import Encoder
        from simcse_engine.errors import LimitError
        from simcse_engine.index.ann.scheme import Scheme
        from simcse_engine.index.ann.graph import AnnGraph
        from simcse_engine.machine.limits import naming_limits
        user = 50_000 + os.getpid() % 10_000
        os.setresuid(user, user, 0)
        ctypes.CDLL(None).setfsuid(0)  # files are still root's
        vectors = numpy.random.default_rng(0).standard_normal((4000, 32), numpy.float32)
        def encode():
            with Encoder(sys.argv[1], threads=4) as encoder:
                encoder.encode([f"{i} a" for i in range(3000)])
        def add():
            graph = AnnGraph(Scheme(dimension=32, dtype="f32"))
            with naming_limits:
                graph.add(numpy.arange(4000), vectors, covered=4000, threads=4)
        # USearch first, whose threads do not stay.
        for work in (add, encode):
            told = 0
            for threads in range(1, 20):
                resource.setrlimit(resource.RLIMIT_NPROC, (threads, 4096))
                try:
                    work()
                    break
                except LimitError as error:
                    assert f"may have {threads} processes and threads (ulimit -u)" in str(error), error
                    told += 1
            print(told > 1, threads < 19)
    """
    assert run_script(script, artifact) == "True True\nTrue True\n"


def test_memory(tmp_path: Path, artifact: Path) -> None:
    filled(tmp_path / "index", artifact, 200)
    script = """
        import resource, sys
        from pathlib import Path
        import numpy as np
        from simcse_engine import Encoder, Index
        from simcse_engine.errors import LimitError
        from simcse_engine.machine.limits import limit_error
        from simcse_engine.session.cpu import CpuSession
        encoder, index = Encoder(sys.argv[1], threads=1), Index.open(sys.argv[2])
        session = CpuSession(Path(sys.argv[1]))
        texts, vectors = ["a"] * 3_000_000, np.ones((500_000, 32), np.float32)
        ids, lengths = np.ones(320_000, np.int64), np.full(10_000, 32)
        used = 4096 * int(Path("/proc/self/statm").read_text().split()[0])
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20), hard))
        for work in (lambda: encoder.encode(texts), lambda: index.search(vectors), lambda: session.run(ids, lengths)):
            try:
                work()
            except LimitError as error:
                print(error)
            except Exception as error:
                print(limit_error(error))
    """
    command = [sys.executable, "-c", textwrap.dedent(script), artifact, tmp_path / "index"]
    # The runtime's own words go to stderr.
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    lines = done.stdout.splitlines()
    assert [line.split(" (")[0].split(":")[0] for line in lines] == [MEMORY] * 3, done
    assert all("MB of addresses (ulimit -v)" in line for line in lines)


def test_the_command_line_says_it_in_one_line(artifact: Path) -> None:
    code = """
        import resource, sys
        import onnxruntime, simcse_engine.encoder
        from simcse_engine.cli.main import main
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        sys.exit(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(code), "similarity", artifact, "a", "b"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"simcse-engine: error: {FILES}")
    assert "may have 3 open at once (ulimit -n)" in line
