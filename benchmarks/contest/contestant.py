"""Contestants: ours and the peers, each loaded, checked and in a process that waits for its turn."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine.artifact.manifest import Manifest
from simcse_engine.session.kernels import kernels_for

from ..inputs import Model
from .peers.catalog import BF16, FP32, PEERS
from .peers.environment import PeerError
from .peers.models import optimum_graph
from .peers.process import WORKERS, Process
from .peers.reference import largest_cosine_difference
from .peers.workers.protocol import Load
from .settings import Best, best_alone, best_batch, best_bulk, first_setting


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A process, and what it loads for bulk work and for one text at a time."""

    process: Process
    bulk: Load
    one: Load
    arithmetic: str  # see `catalog.Peer`
    facts: dict[str, Any]  # for the result's file
    key: str | None = None  # that its settings are kept under; None where it has none to search

    def bulk_for(self, what: str, sample: Sequence[str]) -> Load:
        """What it loads for texts like these, ``what`` in a word: as for bulk, with the best batch size for them."""
        if self.key is None:
            return self.bulk
        best = Best.kept(f"{self.key}, {what}", self.process, lambda: best_batch(self.process, self.bulk, sample))
        return replace(self.bulk, setting=best.setting)

    @property
    def source(self) -> str:
        """What it runs: packages or artifact."""
        return str(self.facts.get("environment", self.facts.get("identity")))

    @property
    def origin(self) -> str:
        """What its figures depend on besides the texts: what it runs, and its settings."""
        return f"{self.source}, {self.bulk}"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What contestants are checked with, and peers tuned with."""

    model: Model
    threads: int
    texts: Sequence[str]  # to check vectors with
    reference: NDArray[np.float32]  # the vectors that all contestants should give them
    tuning: Sequence[str]  # as many as a round of bulk work has
    singles: Sequence[str]  # to tune one at a time with

    def ours(self, precision: str, artifact: Path) -> Contestant:
        """Our contestant, which has no settings to search.

        Raises:
            PeerError: its vectors are not the model's.
        """
        process = Process(Path(sys.executable), f"{WORKERS}.ours")
        load = self._load(str(artifact), str(artifact), None)
        difference = self._difference(process, load, {"fp32": FP32, "bf16": BF16}.get(precision))
        facts = {
            "identity": Manifest.read(artifact).identity,
            "kernels": kernels_for(artifact, "cpu").variant,
            "largest_cosine_difference": difference,
        }
        return Contestant(process=process, bulk=load, one=load, arithmetic=precision, facts=facts)

    def start(self, name: str) -> tuple[Process, dict[str, str]]:
        """Install a peer and start its process, which imports while others do.

        Raises:
            PeerError: it has no such pooler, or cannot be installed.
        """
        peer, pooler = PEERS[name], self.model.pooler
        if pooler not in peer.poolers:
            raise PeerError(f"it computes pooler {' and '.join(peer.poolers)}, and this model has {pooler}")
        packages = peer.environment.install()
        process = Process(peer.environment.python, f"{WORKERS}.{peer.worker}")
        process.start()
        return process, packages

    @staticmethod
    def without_kernels(ours: Contestant) -> Contestant:
        """The same in the runtime's operators, as where there is no library of ours."""
        process = Process(Path(sys.executable), f"{WORKERS}.without_kernels")
        return replace(ours, process=process, facts={**ours.facts, "kernels": None})

    def peer(self, name: str, process: Process, packages: dict[str, str]) -> Contestant:
        """A peer at its best settings, which are searched unless they are known.

        Raises:
            PeerError: it fails, or its vectors are not the model's.
        """
        peer = PEERS[name]
        first = self._load(str(peer.model(self.model)), str(optimum_graph(self.model)), peer.precision)
        difference = self._difference(process, first, peer.least_cosine)
        environment = {"requirements": peer.environment.pinned, "packages": packages}
        key = f"{self.model.name}, {name}, {packages}, {len(self.tuning)} sentences, {self.threads} threads"
        searches = {
            "bulk": lambda: best_bulk(process, first, own_batches=peer.own_batches, sample=self.tuning),
            "one": lambda: best_alone(process, first, self.singles),
        }
        best = {kind: Best.kept(f"{key}, {kind}", process, search) for kind, search in searches.items()}
        bulk, one = (replace(first, setting=each.setting) for each in best.values())
        # Again: other batches run other kernels.
        difference = max(difference, self._difference(process, bulk, peer.least_cosine))
        facts = {"environment": environment, "largest_cosine_difference": difference, "settings": best}
        return Contestant(process=process, bulk=bulk, one=one, arithmetic=peer.arithmetic, facts=facts, key=key)

    def _load(self, model: str, folder: str, precision: str | None) -> Load:
        setting = first_setting(self.threads)
        return Load(model=model, folder=folder, pooler=self.model.pooler, precision=precision, setting=setting)

    def _difference(self, process: Process, load: Load, least_cosine: float | None) -> float:
        """Load, and check the vectors; the largest difference of a cosine from 1."""
        process.load(load)
        difference = largest_cosine_difference(process.vectors(self.texts), self.reference)
        if least_cosine is not None and difference > 1 - least_cosine:
            raise PeerError(f"not the same model: the least cosine is {1 - difference:.6f}")
        return difference
