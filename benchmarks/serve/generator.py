"""A generator of load, in a process of its own: open loops at given moments, and closed loops with mixed requests.

In an open loop a request is sent at its moment whatever became of those before, over an idle connection or a new one.
Its latency counts from that moment, so a server that stops for a second is charged for all who came in that second.
How late the generator itself was is part of the result.

    python -m benchmarks.serve.generator PLAN RESULT     pickles of a `Plan` and a `Seen`
"""

import asyncio
import contextlib
import gc
import pickle
import sys
import time
from array import array
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import uvloop

from .clock import Alarm
from .connection import Connection
from .plan import LOST, UNANSWERED, Compared, Item, Plan, Seen


class Generator:
    """Sends what a plan says, once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._connections = 0  # open, or about to be
        self._opened: set[Connection] = set()
        self._idle: dict[Connection, None] = {}
        self._waiting: deque[tuple[int, float]] = deque()  # items that are due while no connection is idle
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way = self._items = 0
        self._end = 0.0  # of the arrivals
        # Of each request its item, due, sent, done and status.
        self._records = array("d")
        self._compared = Compared()

    async def run(self) -> Seen:
        plan = self._plan
        self._connections = plan.connections
        await asyncio.gather(*(self._open() for _ in range(plan.connections)))
        began, cpu = time.perf_counter(), time.process_time()
        if plan.arrivals is None:
            self._end = began + plan.seconds
            self._loop.call_later(plan.seconds, self._check_over)
            for connection in list(self._idle):
                self.free(connection)
        else:
            self._end = np.inf
            self._send_at(deque((plan.arrivals + began).tolist()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over, plan.seconds + plan.grace)
        cpu_share = (time.process_time() - cpu) / (time.perf_counter() - began)
        self._end = 0
        for connection in list(self._opened):
            connection.give_up()
        for item, due in self._waiting:
            self._records.extend((item, due, np.nan, np.nan, UNANSWERED))
        item, due, sent, done, status = np.array(self._records).reshape(-1, 5).T
        return Seen(
            began=began,
            items=item.astype(np.int64),
            due=due,
            sent=sent,
            done=done,
            status=status.astype(np.int64),
            cpu_share=cpu_share,
            compared=self._compared,
        )

    def opened(self, connection: Connection) -> None:
        self._opened.add(connection)

    def answered(self, connection: Connection, status: int, body: bytes) -> None:
        self._records.extend((connection.item, connection.due, connection.sent, time.perf_counter(), status))
        self._under_way -= 1
        if self._plan.expected is not None and status == 200:
            self._compare(self._plan.items[connection.item], body)
        self._check_over()

    def failed(self, connection: Connection, status: int) -> None:
        self._records.extend((connection.item, connection.due, connection.sent, np.nan, status))
        self._under_way -= 1

    def free(self, connection: Connection) -> None:
        """Give it its next request, or let it be idle."""
        if connection.status == 429 and self._plan.pause and time.perf_counter() < self._end:
            connection.status = 0
            self._loop.call_later(self._plan.pause, self.free, connection)
        elif self._waiting:
            self._send(connection, *self._waiting.popleft())
        elif self._plan.arrivals is None and (now := time.perf_counter()) < self._end:
            self._idle.pop(connection, None)
            self._send(connection, self._next_item(), now)
        else:
            self._idle[connection] = None

    def closed(self, connection: Connection) -> None:
        """Open another one where requests wait, or in a closed loop."""
        self._opened.discard(connection)
        self._idle.pop(connection, None)
        self._connections -= 1
        if self._waiting or (self._plan.arrivals is None and time.perf_counter() < self._end):
            self._connect_soon()
        self._check_over()

    def _send(self, connection: Connection, item: int, due: float) -> None:
        self._under_way += 1
        connection.send(item, self._plan.items[item].content, due)

    def _next_item(self) -> int:
        self._items += 1
        return (self._items - 1) % len(self._plan.items)

    def _send_at(self, moments: deque[float]) -> None:
        alarm = Alarm()

        def ring() -> None:
            alarm.silence()
            while moments and moments[0] <= time.perf_counter():
                self._arrive(moments.popleft())
            if moments:
                alarm.set(moments[0])
            else:
                self._loop.remove_reader(alarm.fileno())
                self._end = 0
                self._check_over()

        self._loop.add_reader(alarm.fileno(), ring)
        alarm.set(moments[0] if moments else time.perf_counter())

    def _arrive(self, due: float) -> None:
        item = self._next_item()
        if self._idle:
            # The one that was used last: few connections stay busy at a low rate.
            connection, _ = self._idle.popitem()
            self._send(connection, item, due)
            return
        self._waiting.append((item, due))
        if self._connections < self._plan.most_connections:
            self._connect_soon()

    def _connect_soon(self) -> None:
        self._connections += 1
        task = self._loop.create_task(self._open_one_more())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self) -> None:
        _, connection = await self._loop.create_connection(lambda: Connection(self), "127.0.0.1", self._plan.port)
        self.free(connection)

    async def _open_one_more(self) -> None:
        try:
            await self._open()
        except OSError:
            # The server is gone, or lets nobody in.
            self._connections -= 1
            if self._waiting:
                item, due = self._waiting.popleft()
                self._records.extend((item, due, np.nan, np.nan, LOST))
            if not self._connections and self._plan.arrivals is None:
                self._end = 0
            self._check_over()

    def _check_over(self) -> None:
        if not (self._under_way or self._waiting or self._over.done()) and time.perf_counter() >= self._end:
            self._over.set_result(None)

    def _compare(self, item: Item, body: bytes) -> None:
        expected, vectors, before = self._plan.expected[list(item.rows)], item.route.vectors(body), self._compared
        wrong, difference = len(expected), np.inf
        if vectors.shape == expected.shape:
            differences = np.abs(vectors - expected).max(axis=1)
            # What is no number is wrong too.
            wrong, difference = int((~(differences <= self._plan.tolerance)).sum()), float(differences.max())
        what = f"{item.route.form}, rows {item.rows[:5]}: {difference}" if wrong else ""
        self._compared = replace(
            before,
            vectors=before.vectors + len(expected),
            wrong=before.wrong + wrong,
            largest_difference=max(before.largest_difference, difference),
            first_wrong=before.first_wrong or what,
        )


async def _run(plan: Plan) -> Seen:
    return await Generator(plan).run()


def main() -> None:
    plan = pickle.loads(Path(sys.argv[1]).read_bytes())
    # A collection stops the loop for milliseconds, and nothing here makes cycles by the thousand.
    gc.disable()
    Path(sys.argv[2]).write_bytes(pickle.dumps(uvloop.run(_run(plan))))


if __name__ == "__main__":
    main()
