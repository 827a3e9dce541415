"""Hooks around forks: their order, what failure and time leave of it, what is never destroyed."""

import os

import pytest

from support.child import run_script

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

# What the scripts begin with: a member of each place that notes its hooks, registered in an order of their own.
MEMBERS = """
    import gc, os, sys, threading, warnings
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    from simcse_engine.machine.forks import ORDER, ForkAware, ProcessBound, never_destroy, register
    notes = []

    class Member(ForkAware):
        def __init__(self, place):
            self.place = place
            register(place, self)

        def _before_fork(self):
            notes.append(("before", self.place))

        def _after_fork_in_parent(self):
            notes.append(("parent", self.place))

        def _after_fork_in_child(self):
            notes.append(("child", self.place))

    def fork(check):
        pid = os.fork()
        if pid == 0:
            check()
            os._exit(7)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 7

    members = [Member(place) for place in ("lock", "index", "batcher", "encoder", "store", "runtime")]
"""


def run(script: str) -> None:
    assert run_script(MEMBERS + script) == ""


def test_order() -> None:
    run("""
    before = [("before", place) for place in reversed(ORDER)]

    def check():
        assert notes == before + [("child", place) for place in ORDER], notes

    for _ in range(2):
        notes.clear()
        fork(check)
        assert notes == before + [("parent", place) for place in ORDER], notes
    """)


def test_what_is_gone_has_no_hooks() -> None:
    run("""
    del members
    gc.collect()
    fork(lambda: None)
    assert not notes
    """)


def test_a_hook_that_fails_stops_no_other_after_the_fork() -> None:
    run("""
    sys.unraisablehook = lambda unraisable: notes.append(str(unraisable.exc_value))

    class Failing(Member):
        def _after_fork_in_parent(self):
            raise ValueError("parent failed")

        def _after_fork_in_child(self):
            raise ValueError("child failed")

    failing = Failing("encoder")

    def check():
        assert [note for note in notes if note[0] == "child"] == [("child", place) for place in ORDER]
        assert notes[-1] == "child failed"

    fork(check)
    assert [note for note in notes if note[0] == "parent"] == [("parent", place) for place in ORDER]
    assert notes[-1] == "parent failed"
    """)


def test_what_was_interrupted_before_the_fork_is_undone_after_it() -> None:
    run("""
    sys.unraisablehook = lambda unraisable: None

    class Interrupted(Member):
        def _before_fork(self):
            raise KeyboardInterrupt

    member = Interrupted("index")
    notes.clear()
    fork(lambda: None)
    assert ("parent", "index") in notes
    """)


def test_two_threads_fork_at_once() -> None:
    run("""
    class Locked(ForkAware):
        def __init__(self):
            self.lock = threading.Lock()
            register("store", self)

        def _before_fork(self):
            assert self.lock.acquire(timeout=30)

        def _after_fork_in_parent(self):
            self.lock.release()

        def _after_fork_in_child(self):
            self.lock = threading.Lock()

    locked = [Locked() for _ in range(5)]

    def check():
        assert not any(each.lock.locked() for each in locked)

    threads = [threading.Thread(target=lambda: [fork(check) for _ in range(5)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check()
    """)


def test_never_destroy() -> None:
    run("""
    class Fragile:
        def __del__(self):
            print("destroyed")

    kept = Fragile()
    never_destroy(kept)
    del kept
    gc.collect()
    """)


def test_what_is_bound_to_a_process_is_destroyed_there_alone() -> None:
    run("""
    destroyed = []

    class Held:
        def __del__(self):
            destroyed.append(os.getpid())

    class Bound(ProcessBound):
        def __init__(self):
            self.held = Held()
            raise ValueError

    def half_built():
        try:
            Bound()
        except ValueError as error:
            return error

    kept = [half_built(), half_built()]

    def check():
        kept.clear()
        gc.collect()
        assert not destroyed

    fork(check)
    kept.clear()
    gc.collect()
    assert destroyed == [os.getpid()] * 2
    """)


def test_what_only_the_parent_may_call() -> None:
    run("""
    from simcse_engine.machine.forks import only_here

    calls = []
    call = only_here(calls.append)

    def check():
        call("child")
        assert not calls

    fork(check)
    call("parent")
    assert calls == ["parent"]
    """)
