"""JSON lines on stderr, whoever reads them."""

import io
import json
import logging
import threading
import warnings

from simcse_engine.serve import logs
from simcse_engine.serve.logs import failure, log, logging_json


def test_lines() -> None:
    stream = io.StringIO()
    with logging_json(stream):
        log(logging.INFO, "ready", seconds=0.25, nothing=None, text='a "quoted"\nline')
        logging.getLogger("some.library").warning("it is %s", "late")
        log(logging.DEBUG, "not this")
    ready, late = map(json.loads, stream.getvalue().splitlines())
    assert ready.pop("time").endswith("Z")
    assert ready == {"level": "info", "event": "ready", "seconds": 0.25, "text": 'a "quoted"\nline'}
    assert late.items() > {"level": "warning", "event": "library", "message": "it is late"}.items()


def test_a_warning_is_a_line_too() -> None:
    stream = io.StringIO()
    with logging_json(stream):
        warnings.simplefilter("always")
        warnings.warn("it is\nlate", RuntimeWarning, stacklevel=1)
    line = json.loads(stream.getvalue())
    assert line.items() > {"level": "warning", "event": "warning", "kind": "RuntimeWarning"}.items()
    assert line["message"] == "it is\nlate"


def test_a_failure_keeps_its_message_to_itself() -> None:
    try:
        raise KeyError("A man plays a guitar.")
    except KeyError as error:
        told, whole = failure(error, with_message=False), failure(error, with_message=True)
    assert told["error"] == "KeyError"
    assert told["message"] is None
    assert "test_logs.py" in told["frames"][0]
    assert "guitar" in whole["message"]


def test_a_librarys_failure() -> None:
    stream = io.StringIO()
    with logging_json(stream):
        try:
            raise KeyError("A man plays a guitar.")
        except KeyError:
            logging.getLogger("some.library").exception("it failed")
    line = json.loads(stream.getvalue())
    assert (line["message"], line["error"]) == ("it failed", "KeyError")
    assert "guitar" not in stream.getvalue()


def test_a_reader_that_is_stuck_holds_up_nobody() -> None:
    go = threading.Event()

    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            assert go.wait(60)
            return super().write(text)

    stream = Stuck()
    with logging_json(stream):
        for number in range(logs._MOST_WAITING + 100):
            log(logging.INFO, "event", number=number)
        go.set()
    *lines, last = map(json.loads, stream.getvalue().splitlines())
    numbers = [line["number"] for line in lines]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) < logs._MOST_WAITING + 100
    assert (last["event"], last["level"]) == ("lines dropped", "warning")
    assert len(numbers) + last["count"] == logs._MOST_WAITING + 100
