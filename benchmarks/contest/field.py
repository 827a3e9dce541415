"""The field: ours and the peers that questions are asked of, on one model, each checked and ready; and their turns."""

import argparse
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from simcse_engine.artifact.manifest import Manifest
from simcse_engine.machine.cpu import usable_cpus

from ..flops import Flops
from ..harness import Ratio
from ..inputs import bert_base, minilm, sentences
from .contestant import Check, Contestant, Tuning, our_contestant, peer_contestant, start_peer
from .peers.catalog import PEERS, named
from .peers.environment import PeerError
from .peers.models import BERT_BASE, CALIBRATION_SENTENCES, MINILM, Model, measured_texts
from .peers.reference import reference_vectors
from .settings import SETTINGS

CHECK_SENTENCES = 100
SINGLES = 50

# Threads of OpenMP spin for 0.2 s after their work, and would do so in the next one's turn.
SETTLE_SECONDS = 0.3

# Unrecorded runs of who has several workers, before bulk work is timed: each worker prepares kernels of its own, and
# which one gets a batch is chance.
SEVERAL_WORKERS = 8

Given = TypeVar("Given")
Output = TypeVar("Output")


@dataclass(frozen=True, kw_only=True)
class Match:
    """A model to compare on.

    Attributes:
        ours: makes our artifact, by precision.
        sentences: in each round of bulk work.
    """

    model: Model
    ours: Mapping[str, Callable[[], Path]]
    sentences: int


MATCHES = {
    "minilm": Match(model=MINILM, ours={"fp32": minilm, "int8": partial(minilm, "int8")}, sentences=1_000),
    "bert-base": Match(model=BERT_BASE, ours={"fp32": bert_base, "int8": partial(bert_base, "int8")}, sentences=100),
}
PRECISIONS = ("fp32", "int8")


def options(doc: str | None) -> argparse.ArgumentParser:
    """What every question about the field can be asked with."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MATCHES, default="minilm")
    parser.add_argument("--ours", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument(
        "--peers", nargs="*", default=list(PEERS), help=f"or the first part of their names: {', '.join(PEERS)}"
    )
    parser.add_argument("--sentences", type=int, help="in a round of bulk work")
    parser.add_argument("--search", action="store_true", help="search the settings anew, instead of those found before")
    return parser


@dataclass(frozen=True, kw_only=True)
class Field:
    """Those who take part.

    Attributes:
        texts: that may be measured with, in a random order that is always the same.
        sentences: in a round of bulk work.
        artifacts: ours, by name.
        ours: our contestants' names.
        absent: why a peer takes no part.
        flops: the model's arithmetic.
    """

    model: Model
    texts: list[str]
    sentences: int
    threads: int
    contestants: dict[str, Contestant]
    artifacts: dict[str, Path]
    ours: list[str]
    absent: dict[str, str]
    flops: Flops

    @classmethod
    def of(cls, asked: argparse.Namespace, *, searched: bool = True) -> Self:
        """The field that the command line of a question asks for; `options` has its arguments."""
        try:
            peers = named(asked.peers)
        except ValueError as error:
            sys.exit(str(error))
        if asked.search:
            SETTINGS.unlink(missing_ok=True)
        return cls.enter(asked.model, peers, ours=asked.ours, sentences=asked.sentences, searched=searched)

    @classmethod
    def enter(
        cls,
        model: str,
        peers: Sequence[str],
        *,
        ours: Sequence[str] = PRECISIONS,
        sentences: int | None = None,
        searched: bool = True,
    ) -> Self:
        """Prepare everybody: environment, model, check of the vectors, best settings. Ours fail, others are absent.

        Args:
            model: of `MATCHES`.
            peers: of `PEERS`.
            ours: our precisions.
            sentences: in a round of bulk work, if not the model's usual number.
            searched: whether peers have their best settings, or what a user would begin with.
        """
        match, threads = MATCHES[model], usable_cpus()
        draw, texts = random.Random(0), measured_texts()
        count = sentences or match.sentences
        checked = draw.sample(texts, CHECK_SENTENCES)
        check = Check(texts=checked, reference=reference_vectors(match.model, checked))
        # Not the rounds' own: nobody shall be tuned to them.
        tuning = Tuning(bulk=draw.sample(texts, count), singles=draw.sample(texts, SINGLES)) if searched else None

        started, contestants, absent = {}, {}, {}
        for name in peers:
            try:
                started[name] = start_peer(name, match.model)
            except PeerError as error:
                absent[name] = str(error)
        artifacts = {f"ours-{precision}": match.ours[precision]() for precision in ours}
        for name, artifact in artifacts.items():
            precision = name.removeprefix("ours-")
            try:
                contestants[name] = our_contestant(precision, artifact, match.model, check, threads=threads)
            except PeerError as error:
                sys.exit(f"{name}: {error}")
        for name, (process, installed) in started.items():
            print(f"preparing {name}", flush=True)
            try:
                contestants[name] = peer_contestant(
                    name, process, installed, match.model, check, threads=threads, tuning=tuning
                )
            except PeerError as error:
                process.close()
                absent[name] = str(error)
        for name, reason in absent.items():
            print(f"absent: {name}: {reason}", flush=True)
        return cls(
            model=match.model,
            texts=texts,
            sentences=count,
            threads=threads,
            contestants=contestants,
            artifacts=artifacts,
            ours=list(artifacts),
            absent=absent,
            flops=Flops.of(Manifest.read(next(iter(artifacts.values())))),
        )

    def draw(self, question: str, rounds: int, sentences: int) -> list[list[str]]:
        """Texts of each round, the same ones whenever the question is asked."""
        random_of_its_own = random.Random(question)
        return [random_of_its_own.sample(self.texts, sentences) for _ in range(rounds)]

    def take_turns(
        self,
        rounds: Sequence[Given],
        run: Callable[[Contestant, Given], Output],
        *,
        warm_up: Given,
        warm_ups_of_several: int = 1,
        first: Callable[[], object] = lambda: None,
        beside: Mapping[str, Contestant] | None = None,
    ) -> dict[str, list[Output]]:
        """Everybody runs each round, in an order that is drawn for it; what they returned, a round an item.

        What they warm up with comes before and is not recorded: libraries prepare kernels when they first see a shape.
        A peer that fails takes no further part, in this question or a later one.

        Args:
            rounds: what everybody is given.
            run: what to do with it.
            warm_up: given before.
            warm_ups_of_several: how often to who has several workers, of which each must be warm.
            first: called at the beginning of each round.
            beside: others that take turns with the field.
        """
        outputs: dict[str, list[Output]] = {name: [] for name in (*self.contestants, *(beside or {}))}
        begun, drawn = time.monotonic(), random.Random(0)
        for number, given in enumerate([warm_up, *rounds]):
            left = (time.monotonic() - begun) / max(number, 1) * (len(rounds) + 1 - number)
            said = f"round {number} of {len(rounds)}, {left:.0f} s left" if number else "warming up"
            print(said, flush=True)
            if number:
                first()
            # Drawn, as in `harness.alternate`: nobody always comes after the same one. Two runs draw alike.
            for name in drawn.sample(list(outputs), len(outputs)):
                time.sleep(SETTLE_SECONDS)
                contestant = (beside or {}).get(name) or self.contestants[name]
                loaded = contestant.process.loaded
                several = not number and loaded is not None and loaded.setting.workers > 1
                try:
                    for _ in range(warm_ups_of_several if several else 1):
                        output = run(contestant, given)
                except PeerError as error:
                    if name in self.ours or name not in self.contestants:
                        raise
                    self.leave(name, str(error))
                    del outputs[name]
                    continue
                if number:
                    outputs[name].append(output)
        return outputs

    def leave(self, name: str, reason: str) -> None:
        """A peer takes no further part."""
        print(f"absent from here on: {name}: {reason}", flush=True)
        self.contestants.pop(name).process.close()
        self.absent[name] = reason

    def peer_over_ours(self, durations: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Ratio]]:
        """How many times as long as ours each peer takes."""
        peers = [name for name in self.contestants if name not in self.ours]
        return {our: {peer: Ratio.of(durations[peer], durations[our]) for peer in peers} for our in self.ours}

    def facts(self) -> dict[str, Any]:
        """Who took part and how, for the result's file."""
        return {
            "model": self.model.name,
            "pooler": self.model.pooler,
            "sentences": f"{sentences().source}, less {CALIBRATION_SENTENCES} that INT8 is calibrated on",
            "threads": self.threads,
            "contestants": {
                name: {"arithmetic": each.arithmetic, **each.facts} for name, each in self.contestants.items()
            },
            "absent": self.absent,
        }

    def close(self) -> None:
        """End the processes. Who is asked again starts again."""
        for each in self.contestants.values():
            each.process.close()
