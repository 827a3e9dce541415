"""The application under uvicorn: sockets, signals, and the end."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType

from .extra import missing

try:
    import uvicorn
except ModuleNotFoundError as error:
    raise missing(error) from error

from .address import Address
from .application import Application

_BACKLOG = 2048
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
    config = uvicorn.Config(
        application,
        http="httptools",
        ws="none",
        lifespan="on",
        backlog=_BACKLOG,
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
    )
    server = _Server(config, application, drain_s, started, insisted)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(server.serve([bound]))
    return server.ended


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Of uvloop where it is installed, as it is where it can be."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


class _Server(uvicorn.Server):
    """uvicorn's, which ends as the other commands do.

    Attributes:
        ended: requests that were ended before they were answered.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        application: Application,
        drain_s: float,
        started: Callable[[], None],
        insisted: Callable[[int], None],
    ) -> None:
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

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals that end a program, but none that its starter had it ignore."""
        handled = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
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
        self._application.service.state = "ending"
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
        tasks = list(state.tasks)
        self.ended = len(tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)
        await self.lifespan.shutdown()
