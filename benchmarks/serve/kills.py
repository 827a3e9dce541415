"""Does the server keep what it has acknowledged, whenever it is killed?

Four clients add and replace entries, each its own keys, as quickly as they are answered. A kill -9 ends the server at a
random moment. Then the index must open, hold every acknowledged entry, and find each by its text. What was sent and not
answered may be there or not, all of a request or nothing. The next server goes on with the same index.
"""

import contextlib
import json
import random
import shutil
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcse_engine import Encoder, Index

from ..inputs import MINILM
from .client import Client
from .routes import message
from .stage import Stage

QUESTION = "is anything lost that /add acknowledged, where the server is killed at random moments?"
CLIENTS, KEYS_EACH, MOST_TEXTS = 4, 100, 12
_LATEST_KILL_SECONDS = 0.4
_LEAST_SCORE = 0.999


class LostError(Exception):
    """Something that was acknowledged is not there, or is not what it was."""


@dataclass(frozen=True)
class Addition:
    """A request of a client."""

    entries: dict[int, str]
    acknowledged: bool


def measure(stage: Stage, *, kills: int = 100) -> dict[str, Any]:
    artifact = MINILM.artifact("int8")
    home = Path(tempfile.mkdtemp(prefix="serve-kills-"))
    folder = home / "index"
    Index.create(folder, artifact).close()
    chance, expected = random.Random(0), dict[int, str]()
    acknowledged = interrupted = 0
    with Encoder(artifact) as encoder:
        for number in range(kills):
            additions = _killed(stage, folder, number, chance.random() * _LATEST_KILL_SECONDS)
            maybe = []
            for addition in additions:
                if addition.acknowledged:
                    expected |= addition.entries
                    acknowledged += len(addition.entries)
                else:
                    maybe.append(addition.entries)
            interrupted += len(maybe)
            expected = check(folder, encoder, expected, maybe)
            if (number + 1) % 20 == 0:
                print(f"{number + 1} kills, {acknowledged:,} entries acknowledged", flush=True)
    # Where something was lost, the index stays for a look.
    shutil.rmtree(home)
    return {"kills": kills, "lost": 0, "acknowledged": acknowledged, "requests_interrupted": interrupted}


def _killed(stage: Stage, folder: Path, number: int, delay: float) -> list[Addition]:
    """What the clients of a server sent that is killed so long after they began; each client's last comes last."""
    additions: list[list[Addition]] = [[] for _ in range(CLIENTS)]
    with stage.ours("int8", "--index", str(folder)).start() as server:

        def add(client: int) -> None:
            chance = random.Random(f"{number} {client}")
            own = range(client * KEYS_EACH, (client + 1) * KEYS_EACH)
            with contextlib.suppress(ConnectionError, TimeoutError), Client(server.port) as connection:
                for step in range(1_000_000):
                    keys = chance.sample(own, chance.randint(1, MOST_TEXTS))
                    # No two entries have the same text, so that a search finds each.
                    entries = {key: f"{chance.choice(stage.short)} {key} {number} {step}" for key in keys}
                    additions[client].append(Addition(entries, acknowledged=False))
                    body = json.dumps({"texts": list(entries.values()), "keys": keys}).encode()
                    status, answer = connection.ask(message("/add", body))
                    if status != 200:
                        raise LostError(f"/add got {status}: {answer[:300]!r}")
                    additions[client][-1] = Addition(entries, acknowledged=True)

        with ThreadPoolExecutor(CLIENTS) as pool:
            running = [pool.submit(add, client) for client in range(CLIENTS)]
            time.sleep(delay)
            server.signal(signal.SIGKILL)
            for each in running:
                each.result()
    return [addition for each in additions for addition in each]


def check(folder: Path, encoder: Encoder, expected: dict[int, str], maybe: list[dict[int, str]]) -> dict[int, str]:
    """The texts that the index holds, which must be the expected ones.

    Args:
        folder: of the index.
        encoder: whose vectors it holds.
        expected: what was acknowledged.
        maybe: requests without an answer, of which each may be there or not.

    Raises:
        LostError: something is missing, mixed up, or not found by a search.
    """
    with Index(folder, read_only=True) as index:
        entries = [entry for entry in index.get(range(CLIENTS * KEYS_EACH)) if entry is not None]
        texts = {entry.key: entry.text for entry in entries}
        if len(index) != len(texts):
            raise LostError(f"{folder}: has {len(index)} entries, of which {len(texts)} are there")
        for request in maybe:
            there = [texts.get(key) == text for key, text in request.items()]
            if any(there) and not all(there):
                raise LostError(f"{folder}: has {sum(there)} of the {len(there)} entries of one request")
            if all(there):
                expected = {**expected, **request}
        if texts != expected:
            wrong = sorted(key for key in texts.keys() | expected.keys() if texts.get(key) != expected.get(key))
            key = wrong[0]
            raise LostError(
                f"{folder}: {len(wrong)} are wrong; under {key} is {texts.get(key)!r}, not {expected.get(key)!r}"
            )
        if texts:
            vectors = encoder.encode(list(texts.values()))
            for key, (hit,) in zip(texts, index.search(vectors, k=1), strict=True):
                if hit.key != key or hit.score < _LEAST_SCORE:
                    raise LostError(f"{folder}: the text of {key} finds {hit.key} ({hit.score:.4f})")
    return texts
