"""Lent graphs come back, wherever Ctrl-C falls."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest

from simcse_engine.index.ann.graph import AnnGraph
from simcse_engine.index.ann.lent import LentGraphs
from simcse_engine.index.ann.scheme import Scheme
from support.indexes import unit_vectors


@pytest.fixture
def graph(tmp_path: Path) -> AnnGraph:
    """A graph in memory, of which one of USearch's is lent at a time from its file."""
    vectors = unit_vectors(100)
    graph = AnnGraph(Scheme(dimension=32, dtype="f16"))
    graph.add(np.arange(100), vectors, covered=100, threads=1)
    graph.saved_as(tmp_path, graph.save(tmp_path, "graph", threads=1))
    assert graph._saved is not None
    graph._saved._most = 1
    return graph


def test_an_interruption_loses_no_graph(graph: AnnGraph) -> None:
    lent = graph._saved
    assert lent is not None
    # The first makes one, later ones take it.
    for _ in interruptions(LentGraphs.lent, lent.lent):
        assert_ends(lambda: enter(lent.lent()))


def test_an_interruption_loses_no_turn(graph: AnnGraph) -> None:
    for saved in (graph._saved, None):
        graph._saved = saved
        for _ in interruptions(AnnGraph._lent, graph._lent):
            assert_ends(lambda: enter(graph._taking_turn()))


def interruptions(function: Any, lend: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
    """Interrupt what ``function`` does at the start of a block, at each of its lines in turn."""
    code: CodeType = function.__wrapped__.__code__
    for at in range(100):
        seen: set[int] = set()

        def trace(frame: FrameType, event: str, _: Any, at: int = at, seen: set[int] = seen) -> Any:
            if frame.f_code is not code:
                return None
            # Not a second time where a line is left: no signal is handled between a block's end and what ends it.
            if event == "line" and frame.f_lineno not in seen:
                seen.add(frame.f_lineno)
                if len(seen) > at:
                    raise KeyboardInterrupt
            return trace

        context, before = lend(), sys.gettrace()
        sys.settrace(trace)
        try:
            context.__enter__()
        except KeyboardInterrupt:
            sys.settrace(before)
            yield
        else:
            sys.settrace(before)
            context.__exit__(None, None, None)
            assert at > 2
            return


def enter(context: AbstractContextManager[Any]) -> None:
    with context:
        pass


def assert_ends(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
