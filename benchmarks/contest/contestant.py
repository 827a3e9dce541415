"""Those who take part: ours and the peers, each loaded, checked and in a process that waits for its turn."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine.artifact.manifest import Manifest

from ..inputs import Model
from .peers.catalog import FP32, PEERS
from .peers.environment import Installed, PeerError
from .peers.models import optimum_graph
from .peers.process import WORKERS, Process
from .peers.reference import largest_cosine_difference
from .peers.workers.protocol import Load
from .settings import Best, best_alone, best_batch, best_bulk, first_setting


@dataclass(frozen=True, kw_only=True)
class Check:
    """Texts and the vectors that everybody should give them."""

    texts: Sequence[str]
    reference: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Texts that the best settings are searched on: as many as a round of bulk work has, and some for one at a time."""

    bulk: Sequence[str]
    singles: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A process, and what it loads for either kind of work.

    Attributes:
        arithmetic: see `catalog.Peer`.
        facts: for the result's file.
        tuned: under what its settings are remembered; None where there are none to search.
    """

    process: Process
    bulk: Load
    one: Load
    arithmetic: str
    facts: dict[str, Any]
    tuned: str | None = None

    def bulk_for(self, what: str, sample: Sequence[str]) -> Load:
        """What it loads for texts like these, ``what`` in a word: as for bulk, with the best batch size for them."""
        if self.tuned is None:
            return self.bulk

        def find() -> Best:
            print(f"searching the best batch of {self.process.module} for {what}", flush=True)
            return _searched(self.process, lambda: best_batch(self.process, self.bulk, sample))

        return replace(self.bulk, setting=Best.kept(f"{self.tuned}, {what}", find).setting)

    @property
    def source(self) -> str:
        """What it runs: packages or artifact."""
        return str(self.facts.get("environment", self.facts.get("identity")))

    @property
    def origin(self) -> str:
        """What its figures depend on besides the texts: what it runs, and its settings."""
        return f"{self.source}, {self.bulk}"


def our_contestant(precision: str, artifact: Path, model: Model, check: Check, *, threads: int) -> Contestant:
    """Ours, which has no settings to search.

    Raises:
        PeerError: its vectors are not the model's.
    """
    process = Process(Path(sys.executable), f"{WORKERS}.ours")
    load = Load(
        model=str(artifact),
        folder=str(artifact),
        pooler=model.pooler,
        precision=None,
        setting=first_setting(threads),
    )
    difference = _checked(process, load, check, FP32 if precision == "fp32" else None)
    facts = {"identity": Manifest.read(artifact).identity, "largest_cosine_difference": difference}
    return Contestant(process=process, bulk=load, one=load, arithmetic=precision, facts=facts)


def start_peer(name: str, model: Model) -> tuple[Process, Installed]:
    """Install a peer and start its process, which imports while others do.

    Raises:
        PeerError: it has no such pooler, or cannot be installed.
    """
    peer = PEERS[name]
    if model.pooler not in peer.poolers:
        raise PeerError(f"it computes pooler {' and '.join(peer.poolers)}, and this model has {model.pooler}")
    installed = peer.environment.install()
    if installed.error is not None:
        raise PeerError(installed.error)
    process = Process(peer.environment.python, f"{WORKERS}.{peer.worker}")
    process.start()
    return process, installed


def peer_contestant(
    name: str,
    process: Process,
    installed: Installed,
    model: Model,
    check: Check,
    *,
    threads: int,
    tuning: Tuning | None,
) -> Contestant:
    """A peer at its best settings, which are searched unless they are known; without tuning, at first ones.

    Raises:
        PeerError: it fails, or its vectors are not the model's.
    """
    peer = PEERS[name]
    first = Load(
        model=str(peer.model(model)),
        folder=str(optimum_graph(model)),
        pooler=model.pooler,
        precision=peer.precision,
        setting=first_setting(threads),
    )
    difference = _checked(process, first, check, peer.least_cosine)
    facts = {"environment": installed, "largest_cosine_difference": difference}
    if tuning is None:
        return Contestant(process=process, bulk=first, one=first, arithmetic=peer.arithmetic, facts=facts)

    def find_bulk() -> Best:
        print(f"searching the best settings of {name}", flush=True)
        return _searched(process, lambda: best_bulk(process, first, own_batches=peer.own_batches, sample=tuning.bulk))

    key = f"{model.name}, {name}, {installed.packages}, {len(tuning.bulk)} sentences, {threads} threads"
    found = {
        "bulk": Best.kept(f"{key}, bulk", find_bulk),
        "one": Best.kept(f"{key}, one", lambda: best_alone(process, first, tuning.singles)),
    }
    bulk, one = (replace(first, setting=each.setting) for each in found.values())
    # Again: other batches are other kernels.
    difference = max(difference, _checked(process, bulk, check, peer.least_cosine))
    facts |= {"settings": found, "largest_cosine_difference": difference}
    return Contestant(process=process, bulk=bulk, one=one, arithmetic=peer.arithmetic, facts=facts, tuned=key)


def _searched(process: Process, search: Callable[[], Best]) -> Best:
    """Search, and end the process: it has loaded the model a dozen times, and not every library gives back all."""
    found = search()
    process.close()
    return found


def _checked(process: Process, load: Load, check: Check, least_cosine: float | None) -> float:
    """Load, and see that the vectors are right; the largest difference of a cosine from 1."""
    process.load(load)
    difference = largest_cosine_difference(process.vectors(check.texts), check.reference)
    if least_cosine is not None and difference > 1 - least_cosine:
        raise PeerError(f"not the same model: the least cosine is {1 - difference:.6f}")
    return difference
