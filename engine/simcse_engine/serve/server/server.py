"""The application under uvicorn: sockets, signals, and the end."""

import asyncio
import contextlib
import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType

from ..extra import missing

try:
    import uvicorn
except ModuleNotFoundError as error:
    raise missing(error) from error

from ..application import Application
from .address import Address
from .protocol import Protocol

_BACKLOG = 2048
# Longer than clients keep connections in their pools: who closes first must not be the server.
_KEEP_ALIVE_S = 75
_TICKS_PER_SWEEP = 10  # of a tenth of a second
# Windows has no SIGHUP.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


def run(
    application: Application,
    address: Address,
    bound: socket.socket,
    *,
    drain_s: float,
    started: Callable[[], None],
    insisted: Callable[[int], None],
) -> int:
    """Serve until SIGTERM, SIGHUP or Ctrl-C; then finish what was accepted, for at most ``drain_s`` seconds.

    It ends by itself where the first runs fail; `Service.state` says so.

    Args:
        application: what answers.
        address: that of ``bound``.
        bound: a socket of `Address.bind`, which is closed at the end.
        drain_s: requests that take longer to finish are ended.
        started: called once it listens.
        insisted: called with the number of a second signal, which ends the program at once; it does not return.

    Returns:
        How many requests were ended before they were answered.
    """
    address.listen(bound, _BACKLOG)
    server = Server(application, drain_s=drain_s, started=started, insisted=insisted)
    # Otherwise the collector, now and then, looks at all that the libraries hold: 20 ms in which nobody gets an answer.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(server.serve([bound]))
    return server.ended


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Of uvloop where it is installed, as it is where it can be."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class Server(uvicorn.Server):
    """uvicorn's, which ends as the other commands do.

    Attributes:
        ended: requests that were ended before they were answered.
    """

    def __init__(
        self,
        application: Application,
        *,
        drain_s: float,
        started: Callable[[], None],
        insisted: Callable[[int], None],
    ) -> None:
        """As `run` says."""
        config = uvicorn.Config(
            application,
            http=partial(Protocol, on_refusal=application.refused),  # type: ignore[arg-type]
            timeout_keep_alive=_KEEP_ALIVE_S,
            ws="none",
            lifespan="on",
            backlog=_BACKLOG,
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
        )
        super().__init__(config)
        self.ended = 0
        self._application = application
        self._drain_s = drain_s
        self._announce = started
        self._insisted = insisted

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started:
            self._announce()

    async def on_tick(self, counter: int) -> bool:
        """Whether to end, as where it could not start; once a second, end connections whose clients are too slow."""
        if self._application.service.state == "failed":
            self.should_exit = True
        if counter % _TICKS_PER_SWEEP == 0:
            self._sweep()
        return await super().on_tick(counter)

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        request_s = self._application.service.options.body_timeout_s
        for connection in list(self.server_state.connections):
            if isinstance(connection, Protocol):
                connection.sweep(now, request_s)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals that end a program, but none that its starter had it ignore."""
        # Python sets handlers in the main thread alone.
        here = threading.current_thread() is threading.main_thread()
        handled = [each for each in _SIGNALS if here and signal.getsignal(each) is not signal.SIG_IGN]
        before = {each: signal.signal(each, self.handle_exit) for each in handled}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """End after the first signal, and at once after the second."""
        if self.should_exit:
            self._insisted(sig)
        self._application.service.end()
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, and finish what was accepted."""
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        state, loop = self.server_state, asyncio.get_running_loop()
        end = loop.time() + self._drain_s
        while (state.connections or state.tasks) and loop.time() < end:
            await asyncio.sleep(0.01)
            self._sweep()
        tasks = list(state.tasks)
        self.ended = len(tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)
        await self.lifespan.shutdown()
