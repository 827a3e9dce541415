"""The log: JSON lines on stderr, written by a thread of its own, since whoever reads them may be slow."""

import contextlib
import io
import json
import logging
import logging.handlers
import queue
import threading
import time
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

LOGGER = logging.getLogger("simcse_engine.serve")

# Lines that wait to be written; further ones are dropped, so that a stuck reader costs neither answers nor memory. How
# many these were is a line, once there is room.
_MOST_WAITING = 10_000
# How long the end waits for a reader.
_END_S = 5.0


def log(level: int, event: str, **fields: Any) -> None:
    """Log an event with its fields; None is left out."""
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, "%s", event, extra={"fields": fields})


def failure(error: BaseException, *, with_message: bool) -> dict[str, Any]:
    """What the log says of an unexpected error; its message, which may quote a text, only where that is allowed."""
    frames = [f"{each.filename}:{each.lineno} {each.name}" for each in traceback.extract_tb(error.__traceback__)]
    return {
        "error": type(error).__name__,
        "message": str(error) if with_message else None,
        "frames": frames,
    }


class JSONLines(logging.Formatter):
    """A record as one line: time, level, event and fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, of ours or of a library."""
        fields = getattr(record, "fields", None)
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {"time": f"{seconds}.{int(record.msecs):03}Z", "level": record.levelname.lower()}
        if fields is None:
            line |= {"event": "library", "logger": record.name, "message": record.getMessage()}
            if record.exc_info and record.exc_info[1] is not None:
                line |= failure(record.exc_info[1], with_message=False) | {"message": record.getMessage()}
        else:
            line["event"] = record.getMessage()
            line |= {name: value for name, value in fields.items() if value is not None}
        return json.dumps(line, default=str)


class _Queue(logging.handlers.QueueHandler):
    """Hands records to the thread that writes; what it cannot take up is dropped."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record as it is: the thread is of this process."""
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Let it wait, unless too many do."""
        try:
            if self.dropped:
                self.queue.put_nowait(self.lines_dropped())
                self.dropped = 0
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1

    def lines_dropped(self) -> logging.LogRecord:
        """A line that says how many were dropped."""
        fields = {"count": self.dropped}
        return logging.makeLogRecord({"levelname": "WARNING", "msg": "lines dropped", "fields": fields})


@contextlib.contextmanager
def logging_json(stream: io.TextIOBase | Any) -> Iterator[None]:
    """Write the service's log, and what libraries warn of, to a stream as JSON lines."""
    writer = logging.StreamHandler(stream)
    writer.setFormatter(JSONLines())
    waiting: queue.Queue[logging.LogRecord | None] = queue.Queue(_MOST_WAITING)
    handler = _Queue(waiting)
    thread = threading.Thread(target=_write, args=(waiting, writer), name="simcse-engine-log", daemon=True)
    root = logging.getLogger()
    before = LOGGER.level
    root.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    # It warns of each broken request, for which its sender gets an answer.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    thread.start()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warned
            yield
    finally:
        root.removeHandler(handler)
        LOGGER.setLevel(before)
        with contextlib.suppress(queue.Full):
            if handler.dropped:
                waiting.put(handler.lines_dropped(), timeout=_END_S)
            waiting.put(None, timeout=_END_S)
            thread.join(_END_S)


def _write(waiting: "queue.Queue[logging.LogRecord | None]", writer: logging.Handler) -> None:
    while (record := waiting.get()) is not None:
        writer.handle(record)


def _warned(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """A warning as an event."""
    log(logging.WARNING, "warning", kind=category.__name__, message=str(message))
