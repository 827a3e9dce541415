"""What the questions share: texts, the artifacts and their vectors, and the services."""

import random
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import TOKENIZER, Manifest
from simcse_engine.errors import TruncationWarning
from simcse_engine.session.kernels import kernels_for
from simcse_engine.tokenizer import Tokenizer

from ..contest.peers.environment import PeerError
from ..contest.peers.models import measured_texts
from ..contest.peers.reference import reference_vectors
from ..inputs import MAX_TOKENS, MINILM, sentences
from ..record import ROOT
from . import settings
from .peers import Setting, ours
from .plan import Item
from .routes import EMBED, OURS, Route

SHORT_TOKENS = (6, 16)
_SHORT, _CHECKED = 1_000, 100
# Sentences a request in mixed load: most have one, and some very many.
_COUNTS, _WEIGHTS = (1, 2, 4, 8, 16, 32, 64), (30, 15, 15, 15, 10, 10, 5)
_LONGEST_JOINED = 12
OUR_NAME = "ours-int8"


class Stage:
    """Services on MiniLM, and what is asked of them.

    Attributes:
        texts: real sentences, in a random order that is always the same.
        absent: why a peer takes no part.
    """

    def __init__(self, peers: Sequence[str]) -> None:
        self._peers = peers
        self.texts = measured_texts()
        self.absent: dict[str, str] = {}
        self._facts: dict[str, Any] = {}
        self._expected: dict[str, NDArray[np.float32]] = {}

    @cached_property
    def short(self) -> list[str]:
        """Sentences of few tokens."""
        tokenizer = Tokenizer(MINILM.artifact() / TOKENIZER, MAX_TOKENS)
        low, high = SHORT_TOKENS
        ids = tokenizer.encode(self.texts).ids
        return [text for text, each in zip(self.texts, ids, strict=True) if low <= len(each) <= high][:_SHORT]

    @cached_property
    def services(self) -> dict[str, Setting]:
        """Ours in INT8, and the peers at their best settings."""
        services = {OUR_NAME: self.ours()}
        reference = reference_vectors(MINILM, self.short[:_CHECKED])
        for name in self._peers:
            try:
                found = settings.best(name, MINILM, self.short, reference)
            except PeerError as error:
                print(f"absent: {name}: {error}", flush=True)
                self.absent[name] = str(error)
                continue
            services[name], self._facts[name] = found.setting, found.facts
        return services

    def leave(self, name: str, error: Exception) -> None:
        """A peer that fails takes no further part; ours must not fail."""
        if name == OUR_NAME:
            raise error
        self.absent[name] = f"{type(error).__name__}: {error}".replace(f"{ROOT}/", "")
        print(f"absent from here on: {name}: {self.absent[name]}", flush=True)
        del self.services[name]

    def ours(self, precision: str = "int8", *options: str) -> Setting:
        """Our server."""
        artifact = MINILM.artifact(precision)
        facts = {"identity": Manifest.read(artifact).identity, "kernels": kernels_for(artifact, "cpu").variant}
        self._facts.setdefault(f"ours-{precision}", facts)
        return ours(artifact, *options)

    def singles(self, route: Route = EMBED) -> list[Item]:
        """One sentence a request, of all lengths."""
        return [Item(content=route.request([text]), route=route) for text in self.texts]

    @cached_property
    def mixed_texts(self) -> list[str]:
        """The sentences, and some long texts of several; a few are longer than the limit."""
        draw = random.Random("long texts")
        long = [
            " ".join(draw.sample(self.texts, draw.randint(2, _LONGEST_JOINED))) for _ in range(len(self.texts) // 20)
        ]
        texts = [*self.texts, *long]
        draw.shuffle(texts)
        return texts

    @cached_property
    def mixed(self) -> list[Item]:
        """Requests of `mixed_texts`, of one to 64 each, over all our routes."""
        draw, items, routes = random.Random("mixed"), [], list(OURS.values())
        numbers = range(len(self.mixed_texts))
        for _ in range(2_000):
            rows = draw.sample(numbers, draw.choices(_COUNTS, _WEIGHTS)[0])
            route = draw.choice(routes)
            content = route.request([self.mixed_texts[row] for row in rows])
            items.append(Item(content=content, route=route, rows=tuple(rows)))
        return items

    def expected(self, precision: str) -> NDArray[np.float32]:
        """The vectors of `mixed_texts` as the library gives them."""
        if precision not in self._expected:
            with Encoder(MINILM.artifact(precision)) as encoder, warnings.catch_warnings():
                warnings.simplefilter("ignore", TruncationWarning)
                self._expected[precision] = encoder.encode(self.mixed_texts)
        return self._expected[precision]

    def facts(self) -> dict[str, Any]:
        """Which services took part and how, for the result's file."""
        return {
            "model": MINILM.name,
            "sentences": sentences().source,
            "services": self._facts,
            "absent": self.absent,
            "generators": "on the same machine, and counted in",
        }
