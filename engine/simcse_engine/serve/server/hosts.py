"""By which names a server is asked that only its own machine reaches, and that has no key."""

import ipaddress
import re
import socket

_LOCAL = r"(?:[a-z0-9-]+\.)*localhost\.?|127(?:\.\d{1,3}){3}|\[::1\]"


def local_names(bound: socket.socket, host: str) -> re.Pattern[bytes] | None:
    """What ``Host`` may be for a server on a loopback address; None for anything, on others.

    Whoever owns a name can have it mean 127.0.0.1 for the browsers that show pages of that name. To them the server
    then is where the page came from, and the page reads all that it answers. Such requests bear the page's name.

    Args:
        bound: where it listens.
        host: its name or address, in the user's words.
    """
    if bound.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    if not ipaddress.ip_address(bound.getsockname()[0].split("%")[0]).is_loopback:
        return None
    return re.compile(rf"(?:{_LOCAL}|{re.escape(host)})(?::\d+)?".encode(), re.IGNORECASE)
