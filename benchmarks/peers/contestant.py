"""Those who take part: ours and the peers, each loaded, checked and in a process that waits for its turn."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inputs import BENCH

from .catalog import PEERS
from .environment import PeerError
from .models import Model, optimum_graph
from .process import Process
from .reference import largest_cosine_difference
from .search import Found, first_setting, remembered, search
from .workers.protocol import Load

# Settings that were found, kept because the search takes longer than the measurement.
SETTINGS = BENCH / "versus-settings.json"


@dataclass(frozen=True, kw_only=True)
class Check:
    """Texts and the vectors that everybody should give them."""

    texts: Sequence[str]
    reference: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A process, and what it loads for either kind of work.

    Attributes:
        facts: for the result's file.
    """

    process: Process
    bulk: Load
    one: Load
    facts: dict[str, Any]


def our_contestant(
    artifact: Path, model: Model, check: Check, *, threads: int, least_cosine: float | None
) -> Contestant:
    """Ours, which has no settings to search."""
    process = Process(Path(sys.executable), "peers.workers.ours")
    load = Load(
        model=str(artifact),
        folder=str(artifact),
        pooler=model.pooler,
        precision=None,
        setting=first_setting(threads),
    )
    facts = {"largest_cosine_difference": _checked(process, load, check, least_cosine)}
    return Contestant(process=process, bulk=load, one=load, facts=facts)


def peer_contestant(
    name: str, model: Model, check: Check, *, threads: int, sample: Sequence[str], singles: Sequence[str]
) -> Contestant | str:
    """A peer at its best settings; or why it cannot take part."""
    peer = PEERS[name]
    installed = peer.environment.install()
    if installed.error is not None:
        return installed.error
    process = Process(peer.environment.python, peer.module)
    try:
        first = Load(
            model=str(peer.model(model)),
            folder=str(optimum_graph(model)),
            pooler=model.pooler,
            precision=peer.precision,
            setting=first_setting(threads),
        )
        difference = _checked(process, first, check, peer.least_cosine)

        def find() -> Found:
            print(f"searching the best settings of {name}", flush=True)
            return search(process, first, own_batches=peer.own_batches, sample=sample, singles=singles)

        key = f"{model.name}, {name}, {installed.packages}, {len(sample)} sentences, {threads} threads"
        found = remembered(SETTINGS, key, find)
        bulk, one = replace(first, setting=found.bulk), replace(first, setting=found.one)
        # Again: other batches are other kernels.
        difference = max(difference, _checked(process, bulk, check, peer.least_cosine))
    except PeerError as error:
        process.close()
        return str(error)
    facts = {"environment": installed, "settings": found, "largest_cosine_difference": difference}
    return Contestant(process=process, bulk=bulk, one=one, facts=facts)


def _checked(process: Process, load: Load, check: Check, least_cosine: float | None) -> float:
    """Load, and see that the vectors are right; the largest difference of a cosine from 1."""
    process.load(load)
    difference = largest_cosine_difference(process.vectors(check.texts), check.reference)
    if least_cosine is not None and difference > 1 - least_cosine:
        raise PeerError(f"not the same model: the least cosine is {1 - difference:.6f}")
    return difference
