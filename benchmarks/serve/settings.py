"""The best setting of each peer, which a search finds and `.bench/settings.json` keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine.machine.cpu import usable_cpus

from ..contest.peers.environment import PeerError
from ..contest.peers.reference import largest_cosine_difference
from ..contest.settings import SETTINGS
from ..inputs import Model
from ..kept import Kept
from . import wrk
from .client import Client
from .peers import PEERS, Setting
from .servers import ServerError, settle

_CONNECTIONS, _WARM_UP_SECONDS, _SECONDS = 64, 2, 4
# To the model's own vectors: what is further off is another model.
_LEAST_COSINES = {"FP32": 0.9999, "INT8": 0.95}


@dataclass(frozen=True, kw_only=True)
class Best:
    """A peer at its best setting."""

    setting: Setting
    facts: dict[str, Any]  # for the result's file


def best(name: str, model: Model, texts: Sequence[str], reference: NDArray[np.float32]) -> Best:
    """Install a peer, and find its fastest setting for one text a request on 64 connections.

    Args:
        name: of `PEERS`.
        model: that it serves.
        texts: to ask for.
        reference: the vectors that the model gives for the first of them.

    Raises:
        PeerError: it cannot be installed, or no setting works.
    """
    packages = PEERS[name].environment.install()
    settings = {each.name: each for each in PEERS[name].settings(model)}
    key = f"{model.name}, {name}, {packages}, {usable_cpus()} CPUs, {sorted(settings)}, served"

    def find() -> dict[str, Any]:
        tried = {name: _judge(each, texts, reference) for name, each in settings.items()}
        rates = {name: each["requests_per_second"] for name, each in tried.items() if "error" not in each}
        if not rates:
            raise PeerError(f"no setting of it works: {next(iter(tried.values()))['error']}")
        return {"setting": max(rates, key=rates.__getitem__), "tried": tried}

    print(f"the best setting of {name}", flush=True)
    found = Kept(SETTINGS).once(key, find)
    facts = {"environment": {"requirements": PEERS[name].environment.pinned, "packages": packages}, **found}
    return Best(setting=settings[found["setting"]], facts=facts)


def _judge(setting: Setting, texts: Sequence[str], reference: NDArray[np.float32]) -> dict[str, Any]:
    """Requests a second and the largest difference of a cosine; or why it takes no part."""
    bodies = [setting.route.body([text]) for text in texts]
    try:
        with setting.start() as server:
            difference = largest_cosine_difference(vectors(server.port, setting, texts[: len(reference)]), reference)
            if difference > 1 - _LEAST_COSINES[setting.precision]:
                raise RuntimeError(f"not the same model: the least cosine is {1 - difference:.6f}")
            rates = []
            for seconds in (_WARM_UP_SECONDS, _SECONDS, _SECONDS):
                loop = wrk.run(server.port, setting.route.path, bodies, connections=_CONNECTIONS, seconds=seconds)
                rates.append(loop.rate)
                settle([server])
    except (ServerError, OSError, RuntimeError) as error:
        print(f"  {setting.name}: {error}", flush=True)
        return {"error": str(error)}
    rate = max(rates[1:])
    print(f"  {setting.name}: {rate:.0f} requests/s", flush=True)
    return {"requests_per_second": rate, "largest_cosine_difference": difference}


def vectors(port: int, setting: Setting, texts: Sequence[str]) -> NDArray[np.float32]:
    """What a server answers, one text a request.

    Raises:
        RuntimeError: it refuses one.
    """
    rows = []
    with Client(port) as client:
        for text in texts:
            status, body = client.ask(setting.route.request([text]))
            if status != 200:
                raise RuntimeError(f"{status}: {body[:300]!r}")
            rows.append(setting.route.vectors(body))
    return np.concatenate(rows)
