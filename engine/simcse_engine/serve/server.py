"""The application under uvicorn: sockets, signals, and the end."""

from dataclasses import dataclass

import uvicorn

from .application import Application


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a service listens.

    Attributes:
        host: a name or address.
        port: 0 for any that is free.
        uds: the path of a Unix domain socket, instead of both.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    uds: str | None = None


def run(application: Application, address: Address, *, drain_s: float) -> None:
    """Serve until SIGTERM or Ctrl-C; then finish what was accepted, for at most ``drain_s`` seconds."""
    config = uvicorn.Config(
        application,
        host=address.host,
        port=address.port,
        uds=address.uds,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=int(drain_s),
    )
    uvicorn.Server(config).run()
