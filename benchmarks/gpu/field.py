"""The contestants on one model: ours from the prepared artifact, and the peers."""

import contextlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine import Encoder, UnverifiedWarning
from simcse_engine.artifact.manifest import TOKENIZER
from simcse_engine.measure import parity
from simcse_engine.tokenizer import Tokenizer

from ..turns import timed
from . import peers
from .preparation import Prepared, Reference

OURS = "ours"
# Peers that give other vectors would do other work.
_LEAST_COSINE = 0.99


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much is measured."""

    sentences: int = 6_000  # in a round of bulk work
    tuning: int = 6_000  # sentences by which a peer's batches are chosen
    tokens: int = 1 << 18  # in a round of one length
    ones: int = 200  # sentences encoded one by one, per contestant and round
    rounds: int = 5  # of everything
    batches: int = 10_000  # that may not make memory grow
    seconds: float = 2.0  # that concurrent callers go on, per contestant
    peak_size: int = 8192  # rows and columns of the matrices whose product is the peak
    peak_seconds: float = 0.1


# A larger model does more for each token.
WORK = {"bert-base": Work(tokens=1 << 16, ones=100)}
TRIAL = Work(
    sentences=24, tuning=2, tokens=64, ones=2, rounds=2, batches=4, seconds=0.05, peak_size=128, peak_seconds=0.01
)


class Ours:
    """Our encoder, from texts and from token ids."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts → vectors."""
        return self.encoder.encode(texts)

    def encode_ids(self, ids: Sequence[list[int]]) -> NDArray[np.float32]:
        """Token ids → vectors."""
        return self.encoder._model.runner.submit(ids).write(np.empty((len(ids), self.encoder.dimension), np.float32))


def opened(artifact: Path, device: str, *, sessions: int = 1) -> Encoder:
    """An encoder that cuts long texts without a word; `checks` says whether its vectors are right here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnverifiedWarning)
        # On a CPU, which is for trials, each session needs a thread.
        threads = sessions if device == "cpu" else None
        return Encoder(artifact, devices=[device] * sessions, threads=threads, truncate="silent")


class Field:
    """Contestants that stay loaded from their first question on.

    Attributes:
        absent: why a peer takes no part.
        cosines: by peer, the smallest cosine of its vectors to the reference's.
    """

    def __init__(self, prepared: Prepared, device: str, work: Work) -> None:
        self.prepared, self.device, self.work = prepared, device, work
        self.absent: dict[str, str] = {}
        self.cosines: dict[str, float] = {}
        self._open: dict[str, Any] = {}
        self._reference: Reference | None = None
        self._pool: list[int] = []
        self._draw = np.random.default_rng(0)

    @property
    def texts(self) -> list[str]:
        """Real sentences."""
        return self.prepared.sentences

    @property
    def reference(self) -> Reference:
        if self._reference is None:
            self._reference = self.prepared.reference()
        return self._reference

    def ids(self) -> list[list[int]]:
        """The token ids of a round's sentences."""
        tokenizer = Tokenizer(self.prepared.ours / TOKENIZER, self.ours.encoder.max_tokens)
        return tokenizer.encode(self.texts[: self.work.sentences]).ids

    def ids_of(self, lengths: Sequence[int]) -> list[list[int]]:
        """Token ids of sentences that long, cut out of real ones."""
        if not self._pool:
            self._pool = list(chain.from_iterable(self.ids()))
            self._pool *= 1 + self.ours.encoder.max_tokens // len(self._pool)
        last = len(self._pool) - self.ours.encoder.max_tokens
        starts = self._draw.integers(0, last + 1, len(lengths)).tolist()
        return [self._pool[start : start + length] for start, length in zip(starts, lengths, strict=True)]

    @property
    def ours(self) -> Ours:
        if OURS not in self._open:
            self._open[OURS] = Ours(opened(self.prepared.ours, self.device))
        return self._open[OURS]

    def contestants(self, loads: Mapping[str, peers.Load], *, only: Iterable[str] | None = None) -> dict[str, Any]:
        """Ours and the peers that can be loaded, each of which was seen to give the reference's vectors."""
        chosen = {OURS: self.ours}
        for name in loads if only is None else only:
            if name not in self._open and name not in self.absent:
                self._load(name, loads[name])
            if name in self._open:
                chosen[name] = self._open[name]
        return chosen

    def _load(self, name: str, load: peers.Load) -> None:
        few = min(16, self.work.sentences)
        try:
            peer = load(self.prepared.checkpoint, self.prepared.pooler, self.device)
            vectors = peer.encode(self.texts[:few])
        except Exception as error:  # an absent peer is reported, whatever it raises
            first = (str(error).strip() or "no reason given").splitlines()[0]
            self.absent[name] = f"{type(error).__name__}: {first}"[:300]
            return
        self.cosines[name] = parity.compare(vectors, self.reference.vectors[:few]).min_cosine
        if self.cosines[name] < _LEAST_COSINE:
            self.absent[name] = f"other vectors than the reference's, by a cosine of {self.cosines[name]:.4f}"
            return
        self._tune(peer)
        self._open[name] = peer

    def _tune(self, peer: Any) -> None:
        """Let a peer run batches of the size that is the fastest here."""
        texts, encode = self.texts[: self.work.tuning], timed(peer.encode)
        seconds = {}
        for size in peer.sizes:
            peer.size = size
            encode(texts)
            seconds[size] = encode(texts)
        peer.size = min(seconds, key=seconds.__getitem__)

    def facts(self, contestants: Mapping[str, Any]) -> dict[str, Any]:
        """Who took part in a question, and how."""
        return {
            "attention": {name: each.attention for name, each in contestants.items() if name != OURS},
            "batch_size": {name: each.size for name, each in contestants.items() if name != OURS},
            "one_minus_least_cosine": {name: 1 - self.cosines[name] for name in contestants if name != OURS},
            "absent": self.absent,
        }

    def close(self) -> None:
        """Close ours; the peers' memory goes with this object."""
        with contextlib.suppress(KeyError):
            self._open.pop(OURS).encoder.close()
        self._open.clear()
