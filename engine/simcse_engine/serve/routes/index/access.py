"""Access: the index of a service, to read or to write."""

from ...http.problems import Problem
from ...service import Service
from ...shared_index import SharedIndex


def shared(service: Service) -> SharedIndex:
    """The index."""
    assert service.shared_index is not None  # the routes are there only with one
    return service.shared_index


def writable(service: Service) -> SharedIndex:
    """The index; Problem where it is only read."""
    found = shared(service)
    if found.index.read_only:
        # Not 409, which may be another time: this service never writes.
        raise Problem(403, "this service only reads its index; start it without --read-only to write")
    return found
