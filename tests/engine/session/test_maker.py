"""Sessions of the runtime over forks: what fails leaves nothing, and a fork waits for what is being made."""

import os

import pytest

from support.child import run_script

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

START = """
    import gc, os, sys, threading, warnings
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    from pathlib import Path
    from types import SimpleNamespace
    from simcse_engine.artifact.manifest import GRAPH, WEIGHTS
    from simcse_engine.session.cpu import CpuSession
    from simcse_engine.session.maker import make_session

    def wait(pid):
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)

    def threads():
        return len(os.listdir("/proc/self/task"))
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted in /proc")  # noqa: PTH112
def test_what_cannot_be_made_leaves_no_thread(artifact_copy: os.PathLike[str]) -> None:
    script = """
    folder = Path(sys.argv[1])
    CpuSession(folder, threads=3)
    before = threads()
    (folder / WEIGHTS).unlink()
    errors = []
    for _ in range(3):
        try:
            CpuSession(folder, threads=3)
        except Exception as error:
            errors.append(error)
    # Though the errors are kept.
    assert threads() == before and len(errors) == 3
    """
    run_script(START + script, artifact_copy)


@pytest.mark.parametrize("end", ["sessions.clear()", "sessions.pop()", "pass"])
def test_a_child_destroys_no_session(artifact: os.PathLike[str], end: str) -> None:
    script = f"""
    import numpy as np
    sessions = [CpuSession(Path(sys.argv[1]), threads=3) for _ in range(3)]
    ids, lengths = np.arange(5, 9), np.array([4])
    before = [session.run(ids, lengths) for session in sessions]
    pid = os.fork()
    if pid == 0:
        {end}
        gc.collect()
        sys.exit(7)
    assert wait(pid) == 7
    assert (sessions[0].run(ids, lengths) == before[0]).all()
    """
    run_script(START + script, artifact)


def test_a_fork_waits_for_a_session_that_is_being_made() -> None:
    script = """
    events, begun, go_on = [], threading.Event(), threading.Event()

    class InferenceSession:
        def __init__(self, model, settings):
            begun.set()
            go_on.wait()
            events.append("made")

    runtime = SimpleNamespace(InferenceSession=InferenceSession)
    maker = threading.Thread(target=make_session, args=(runtime, b"", None))
    maker.start()
    begun.wait()
    # Ends the wait from within: the hooks that run before the maker's are those of later places.
    from simcse_engine.machine.forks import ForkAware, register

    class Waker(ForkAware):
        def _before_fork(self):
            events.append("fork")
            go_on.set()

    waker = Waker()
    register("encoder", waker)
    pid = os.fork()
    if pid == 0:
        assert events == ["fork", "made"], events
        make_session(runtime, b"", None)
        sys.exit(7)
    assert wait(pid) == 7
    maker.join()
    make_session(runtime, b"", None)
    """
    run_script(START + script)
