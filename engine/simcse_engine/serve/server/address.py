"""Where a service listens: a port of a host, or a Unix domain socket."""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputValueError, ListenError
from ...files.locks import take
from ...wording import Wording, argument

# Who may connect to a Unix domain socket: its owner, and its group.
UDS_MODE = 0o660
_HIGHEST_PORT = 65535
_OTHER_PORT = (
    "choose another with ",
    Wording("port=", "--port"),
    ", or ",
    Wording("port=0", "--port 0"),
    " for any that is free",
)
_OTHER_PATH = Wording("uds=", "--uds")


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

    def __post_init__(self) -> None:
        if not 0 <= self.port <= _HIGHEST_PORT:
            raise InputValueError(argument("port", self.port), f": expected 0 to {_HIGHEST_PORT}")
        if self.uds is not None and not hasattr(socket, "AF_UNIX"):
            raise ListenError(f"{self.uds}: Python has no Unix domain sockets on this system; name a host and a port")

    @contextlib.contextmanager
    def taken(self) -> Iterator[socket.socket]:
        """Have the address for the time of the block: `bind` it, and keep other servers off a path until the end.

        Raises:
            ListenError: it cannot be had; the message says why.
        """
        with contextlib.ExitStack() as at_end:
            if self.uds is not None:
                at_end.enter_context(_locked(self.uds))
            bound = at_end.enter_context(self.bind())
            if self.uds is not None:
                at_end.callback(Path(self.uds).unlink, missing_ok=True)
            yield bound

    def bind(self) -> socket.socket:
        """Take the address, without listening yet.

        Raises:
            ListenError: it cannot be had; the message says why.
        """
        return self._bind_port() if self.uds is None else _bind_uds(self.uds)

    def listen(self, bound: socket.socket, backlog: int) -> None:
        """Begin to listen; ListenError where another program does so already."""
        try:
            bound.listen(backlog)
        except OSError as error:
            raise self._refusal(error) from error

    def _bind_port(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (socket.gaierror, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ListenError(f"{self.host}: is no known host ({reason})") from error
        # "localhost" is both; most clients try IPv4 too, and some nothing else.
        family, kind, protocol, _, place = min(found, key=lambda each: each[0] != socket.AF_INET)
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(place)
        except OSError as error:
            bound.close()
            raise self._refusal(error) from error
        return bound

    def _refusal(self, error: OSError) -> ListenError:
        if self.uds is not None:
            return ListenError(f"{self.uds}: cannot be listened on ({error.strerror})")
        where = f"{self.host}:{self.port}"
        if error.errno == errno.EADDRINUSE:
            return ListenError(f"{where}: another program listens there; ", *_OTHER_PORT)
        if error.errno == errno.EACCES:
            return ListenError(f"{where}: this user may not listen there; ", *_OTHER_PORT)
        if error.errno == errno.EADDRNOTAVAIL:
            return ListenError(f"{self.host}: is no address of this machine; 0.0.0.0 listens on all that it has")
        return ListenError(f"{where}: cannot be listened on ({error.strerror})")


def url_of(bound: socket.socket) -> str:
    """Where clients find what listens there."""
    if bound.family not in (socket.AF_INET, socket.AF_INET6):
        return f"unix:{bound.getsockname()}"
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if bound.family == socket.AF_INET6 else f"http://{host}:{port}"


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    """Keep other servers off a path: its socket tells nothing of one that loads its model, or gives its last answers.

    The lock is that of an empty file beside it, which is removed at the end.
    """
    lock = Path(f"{path}.lock")
    try:
        handle = _lock(lock)
        while not os.fstat(handle).st_nlink:  # whoever had it has removed it meanwhile
            os.close(handle)
            handle = _lock(lock)
    except BlockingIOError as error:
        message = f"{path}: another program listens there, or is starting or ending; choose another path with "
        raise ListenError(message, _OTHER_PATH) from error
    except OSError as error:
        raise _no_path(path, error) from error
    try:
        yield
    finally:
        if not os.fstat(handle).st_size:  # as ours is
            lock.unlink(missing_ok=True)
        os.close(handle)


def _lock(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        take(handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _no_path(path: str, error: OSError) -> ListenError:
    reason = error.strerror or error  # Python's own, of a path that is too long
    return ListenError(f"{path}: cannot be created ({reason}); choose another path with ", _OTHER_PATH)


def _bind_uds(path: str) -> socket.socket:
    _remove_stale(Path(path))
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(path)
        # In time: nobody gets a connection before it listens. To make it with this mode, the umask would have to be
        # set, under the hands of other threads.
        Path(path).chmod(UDS_MODE)
    except OSError as error:
        bound.close()
        raise _no_path(path, error) from error
    return bound


def _remove_stale(path: Path) -> None:
    """Remove the socket of a program that has ended; ListenError for whatever else is there."""
    try:
        kind = path.lstat().st_mode
    except OSError:
        return  # nothing is there, or `bind` says what is wrong
    if not stat.S_ISSOCK(kind):
        raise ListenError(f"{path}: exists, and is no socket; remove it, or choose another path with ", _OTHER_PATH)
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except OSError as error:
            raise ListenError(f"{path}: exists, and cannot be opened ({error.strerror}); remove it") from error
        else:
            raise ListenError(f"{path}: another program listens there; choose another path with ", _OTHER_PATH)
