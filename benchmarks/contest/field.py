"""The field: ours and the peers on one model, each checked and ready, and how they take turns."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from simcse_engine.artifact.manifest import TOKENIZER, Manifest
from simcse_engine.machine.cpu import usable_cpus
from simcse_engine.tokenizer import Tokenizer

from ..flops import Flops
from ..inputs import MODELS, sentences
from ..peak import Peak
from ..statistics import Ratio, Spread, spreads
from ..turns import alternate
from .contestant import Contestant, Entry
from .peers.environment import PeerError
from .peers.models import CALIBRATION_SENTENCES, measured_texts
from .peers.reference import reference_vectors
from .peers.workers.grid import MAX_TOKENS

CHECK_SENTENCES = 100
LONG_CHARS = 800  # about 180 tokens
SINGLES = 50
PRECISIONS = ("fp32", "bf16", "int8")
# Those that the runtime has a product of.
PEAKS = ("fp32", "int8")

PEAK_SECONDS = 0.4

# Threads of OpenMP spin for 0.2 s after their work, and would do so in the next contestant's turn.
SETTLE_SECONDS = 0.3

# Warm-ups of a peer with several workers: each prepares kernels of its own, and which worker gets a batch is chance.
SEVERAL_WORKERS = 8

Input = TypeVar("Input")
Output = TypeVar("Output")


class Field:
    """All contestants on one model.

    Attributes:
        texts: that may be measured with, in a random order that is always the same.
        sentences: in a round of bulk work.
        artifacts: ours, by contestant.
        absent: why a peer takes no part.
        flops: the model's arithmetic.
    """

    def __init__(self, name: str, peers: Sequence[str], *, sentences: int | None = None) -> None:
        """Prepare every contestant: environment, model, check of the vectors, best settings.

        A peer that fails is absent; ours must not fail.
        """
        self.model, self.threads = MODELS[name], usable_cpus()
        self.texts = measured_texts()
        self.sentences = sentences or self.model.round_sentences
        draw = random.Random(0)
        checked = draw.sample(self.texts, CHECK_SENTENCES)
        # A long one too: a library that cuts it would do less than the others.
        checked.append(" ".join(checked)[:LONG_CHARS])
        entry = Entry(
            model=self.model,
            threads=self.threads,
            texts=checked,
            reference=reference_vectors(self.model, checked),
            # Not the rounds' own texts: settings must not be tuned to those.
            tuning=draw.sample(self.texts, self.sentences),
            singles=draw.sample(self.texts, SINGLES),
        )
        self.contestants: dict[str, Contestant] = {}
        self.absent: dict[str, str] = {}
        started = {}
        for peer in peers:
            try:
                started[peer] = entry.start(peer)
            except PeerError as error:
                self.absent[peer] = str(error)
        self.artifacts = {f"ours-{precision}": self.model.artifact(precision) for precision in PRECISIONS}
        for our, artifact in self.artifacts.items():
            self.contestants[our] = entry.ours(our.removeprefix("ours-"), artifact)
        for peer, (process, packages) in started.items():
            print(f"preparing {peer}", flush=True)
            try:
                self.contestants[peer] = entry.peer(peer, process, packages)
            except PeerError as error:
                process.close()
                self.absent[peer] = str(error)
        for peer, reason in self.absent.items():
            print(f"absent: {peer}: {reason}", flush=True)
        self.flops = Flops.of(Manifest.read(self.artifacts["ours-fp32"]))

    def tokenizer(self) -> Tokenizer:
        """The model's, with the limit that all contestants have."""
        return Tokenizer(self.artifacts["ours-fp32"] / TOKENIZER, MAX_TOKENS)

    def draw(self, question: str, rounds: int, sentences: int) -> list[list[str]]:
        """Texts of each round, the same ones whenever the question is asked."""
        random_of_its_own = random.Random(question)
        return [random_of_its_own.sample(self.texts, sentences) for _ in range(rounds)]

    def take_turns(
        self,
        rounds: Sequence[Input],
        run: Callable[[Contestant, Input], Output],
        *,
        warm_up: Input,
        warm_ups_of_several: int = 1,
        before_round: Callable[[], object] = lambda: None,
        beside: Mapping[str, Contestant] | None = None,
    ) -> dict[str, list[Output]]:
        """Let every contestant run every round, as `alternate` does; ``beside`` names others that take turns with them.

        Peers with several workers warm up more often: libraries prepare kernels when they first see a shape. A peer
        that fails takes no further part, in this question or a later one.
        """
        contestants = {**self.contestants, **(beside or {})}
        begun = time.monotonic()

        def warm_ups(name: str) -> int:
            loaded = contestants[name].process.loaded
            return warm_ups_of_several if loaded is not None and loaded.setting.workers > 1 else 1

        def announce(number: int, count: int) -> None:
            left = (time.monotonic() - begun) / max(number, 1) * (count + 1 - number)
            print(f"round {number} of {count}, {left:.0f} s left" if number else "warming up", flush=True)
            if number:
                before_round()

        def drop(name: str, error: Exception) -> None:
            if not isinstance(error, PeerError) or name in self.artifacts or name not in self.contestants:
                raise error
            self.leave(name, str(error))

        return alternate(
            {name: lambda value, each=each: run(each, value) for name, each in contestants.items()},
            rounds,
            warm_up=warm_up,
            warm_ups=warm_ups,
            before_round=announce,
            before_turn=lambda: time.sleep(SETTLE_SECONDS),
            drop=drop,
        )

    def bulk(
        self,
        rounds: Sequence[Sequence[str]],
        *,
        warm_up: Sequence[str],
        tokens: int,
        beside: Mapping[str, Contestant] | None = None,
    ) -> tuple[dict[str, list[float]], dict[str, Any]]:
        """Time bulk work of so many tokens per round; the seconds, and the shares of the machine's peak.

        The peaks are the runtime's own matrix products in the same rounds.
        """
        products = {precision: Peak(precision, self.threads) for precision in PEAKS}
        peaks: dict[str, list[float]] = {precision: [] for precision in PEAKS}

        def measure_peaks() -> None:
            for precision, product in products.items():
                peaks[precision].append(product.measure(PEAK_SECONDS))

        seconds = self.encode(rounds, warm_up=warm_up, before_round=measure_peaks, beside=beside)
        contestants = {**self.contestants, **(beside or {})}
        work = tokens * self.flops.per_token
        shares = {}
        for name, each in seconds.items():
            # Bfloat16 has no product of its own in the runtime, and a library's default may be that: held against
            # float32, a share may exceed 1.
            against = "int8" if contestants[name].arithmetic == "int8" else "fp32"
            of_peak = [work / s / peak for s, peak in zip(each, peaks[against], strict=True)]
            shares[name] = {"of_peak": against, "share": Spread.of(of_peak)}
        return seconds, {"peak_operations_per_s": spreads(peaks), "share_of_peak": shares}

    def encode(self, rounds: Sequence[Sequence[str]], **options: Any) -> dict[str, list[float]]:
        """Seconds of each contestant and round, for texts encoded in one call; options as for `take_turns`."""
        return self.take_turns(
            rounds, lambda each, texts: each.process.encode(texts), warm_ups_of_several=SEVERAL_WORKERS, **options
        )

    def leave(self, name: str, reason: str) -> None:
        """A peer takes no further part."""
        print(f"absent from here on: {name}: {reason}", flush=True)
        self.contestants.pop(name).process.close()
        self.absent[name] = reason

    def each(self, measure: Callable[[str, Contestant], Output]) -> dict[str, Output]:
        """Measure one contestant after the other; a peer that fails leaves."""
        figures = {}
        for name, contestant in list(self.contestants.items()):
            try:
                figures[name] = measure(name, contestant)
            except PeerError as error:
                if name in self.artifacts:
                    raise
                self.leave(name, str(error))
        return figures

    def peer_over_ours(self, durations: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Ratio]]:
        """How many times as long as ours each peer takes."""
        peers = [name for name in self.contestants if name not in self.artifacts]
        return {our: {peer: Ratio.of(durations[peer], durations[our]) for peer in peers} for our in self.artifacts}

    def facts(self) -> dict[str, Any]:
        """Which contestants took part and how, for the result's file."""
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
        """End the processes; each starts again when it is next used."""
        for each in self.contestants.values():
            each.process.close()
