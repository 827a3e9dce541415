"""Watch: looks after the requests under way, all of them with one timer."""

import asyncio
import time

from .messages import Request

# Most answers are quicker: a look costs nothing for them.
_EVERY_S = 0.05


class Watch:
    """Ends the work for requests whose client has left, or whose body does not come in time.

    A request is under way until its answer is sent.

    Attributes:
        most_bytes: of all their bodies and answers together, which bounds the memory that they take.
    """

    def __init__(self, body_timeout_s: float, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._body_timeout_s = body_timeout_s
        self._held = 0
        self._requests: dict[Request, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many requests are under way."""
        return len(self._requests)

    def begin(self, request: Request) -> None:
        """Watch a request, whose work is the current task."""
        request.begin_watch()
        self._requests[request] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_EVERY_S, self._look)

    def hold(self, request: Request, size: int) -> bool:
        """Count bytes of a request's body; False where they are too many with those of all others."""
        if self._held and self._held + size > self.most_bytes:
            return False
        request.held += size
        self._held += size
        return True

    def hold_answer(self, request: Request, size: int) -> None:
        """Count bytes of a request's answer instead of its body's. It is there: what has no room is the next body."""
        self._held += size - request.held
        request.held = size

    def end(self, request: Request) -> None:
        """A request is at its end, whether it was watched or not."""
        self._requests.pop(request, None)
        self._held -= request.held

    def _look(self) -> None:
        self._timer = None
        now = time.perf_counter()
        for request in self._requests:
            request.look(now, _EVERY_S, self._body_timeout_s)
        if self._requests:
            self._timer = asyncio.get_running_loop().call_later(_EVERY_S, self._look)
