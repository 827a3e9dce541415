"""Encoder: texts → vectors, with the artifact's tokenizer, graph and pooler."""

import contextlib
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .artifact.hub import locate
from .artifact.manifest import TOKENIZER, Manifest
from .artifact.opening import loading_artifact
from .errors import (
    ClosedError,
    IntegrityError,
    TruncationError,
    TruncationWarning,
    UnverifiedWarning,
)
from .inputs import (
    OptimizeFor,
    Truncate,
    check_texts,
    checked_count,
    checked_device,
    checked_max_tokens,
    checked_optimize_for,
    checked_sequence,
    checked_truncate,
    not_texts,
)
from .machine.cpu import usable_cpus
from .machine.forks import ForkAware, register
from .runner import Pending, Runner
from .schedule import Distinct, limits_for, windows
from .tokenizer import Tokenizer


class Encoder(ForkAware):
    """Turns sentences into vectors with an exported artifact.

    >>> with Encoder(artifact) as encoder:
    ...     encoder.encode(["A man plays a guitar.", "Someone makes music."]).shape
    (2, 384)

    A sentence's vector does not depend on what it is encoded with (to 1e-6). One encoder may be used from many threads
    at once; it can be pickled (by path), and works in a child process after `fork` or `spawn`.

    Attributes:
        manifest: what is known of the artifact.
        max_tokens: longest text, special tokens included; what is longer is cut.
    """

    manifest: Manifest
    max_tokens: int

    def __init__(
        self,
        artifact: str | os.PathLike[str],
        *,
        device: str | None = None,
        threads: int | None = None,
        truncate: Truncate = "warn",
        max_tokens: int | None = None,
        optimize_for: OptimizeFor = "both",
    ) -> None:
        """Load, check and warm up an artifact.

        Args:
            artifact: its folder, or a hub id ``user/name[@revision]`` (see `simcse_engine.artifact.hub.locate`).
            device: "cpu", "cuda" or "cuda:N"; None for the artifact's target. What cannot run raises.
            threads: threads to keep busy; None for what affinity and the cgroup quota allow.
            truncate: what to do with texts longer than ``max_tokens``: "warn" (cut, and count them in a
                `TruncationWarning`), "error" (raise `TruncationError`) or "silent" (cut).
            max_tokens: a lower limit than the artifact's.
            optimize_for: what memory is spent on. "both": a few sentences run at once on all threads, much work runs
                side by side on one thread each, and from the first much work on the weights are packed in memory for
                either. "latency": packed once, for all threads; much work takes a little longer. "throughput": packed
                once, for one thread each; one sentence takes as long as on one core.

        Raises:
            ArtifactError: the artifact is missing, damaged or newer than this engine.
            RuntimeMissingError: onnxruntime is not installed, or installed twice.
            ProviderError: ``device`` cannot run here.
            InputValueError: an option has a value that cannot be used.
        """
        self._closed = False
        # As given: whoever unpickles may have other CPUs.
        self._options = {
            **{"device": device, "threads": threads, "truncate": truncate, "max_tokens": max_tokens},
            "optimize_for": optimize_for,
        }
        self._truncate = checked_truncate(truncate)
        self._optimize_for = checked_optimize_for(optimize_for)
        self._threads = checked_count("threads", threads, usable_cpus())
        self._folder = locate(artifact).absolute()
        with loading_artifact(self._folder) as self.manifest:
            self._device = checked_device(device, self.manifest)
            self.max_tokens = checked_max_tokens(max_tokens, self.manifest)
            # A GPU waits for texts sooner than they wait for it.
            self._tokenizer = Tokenizer(self._folder / TOKENIZER, self.max_tokens, together=self._device != "cpu")
            self._limits = limits_for(self.manifest, self._device)
            self._runner = self._new_runner()
            self._warm_up()
        if self.manifest.verified is None and self._device != "cpu":
            warnings.warn(
                UnverifiedWarning(
                    f"{self._folder}: its vectors were compared with the reference model's on a CPU alone; "
                    "simcse-engine verify compares them here, and says so in the manifest"
                ),
                stacklevel=2,
            )
        register("encoder", self)

    @property
    def artifact(self) -> Path:
        """The folder that it was loaded from."""
        return self._folder

    @property
    def device(self) -> str:
        """What it runs on: "cpu", "cuda" or "cuda:N"."""
        return self._device

    @property
    def dimension(self) -> int:
        """Floats a vector."""
        return self.manifest.dimension

    def encode(
        self, texts: Sequence[str], *, truncate: Truncate | None = None, progress: bool = False
    ) -> NDArray[np.float32]:
        """Encode a list of texts; one that is in it more than once is run once.

        Args:
            texts: any sized collection with an order: list, tuple, array. For an iterator use `stream`.
            truncate: overrides the encoder's setting for this call.
            progress: show a bar on stderr.

        Returns:
            float32 [len(texts), dimension]; row i is ``texts[i]``. Unit length if ``manifest.normalized``.

        Raises:
            InputTypeError: ``texts`` is a `str`, or holds something else than `str`.
            InputValueError: a text holds a lone surrogate.
            TruncationError: a text is too long, with ``truncate="error"``.
            ClosedError: after `close`.
        """
        policy = self._policy(truncate)
        texts = checked_sequence(texts)
        # All of them before the first is run: a bad text at the end shall not cost the work before it.
        check_texts(texts)
        all_texts = Distinct.of(texts)
        out = np.empty((len(texts), self.dimension), np.float32)
        done = 0
        with (
            _progress_bar(len(texts), progress) as advance,
            contextlib.closing(self._submit([all_texts], policy)) as parts,
        ):
            for _, count, pending in parts:
                pending.write(out[done : done + count], advance)
                done += count
            all_texts.spread(out)
            if advance is not None:
                advance(len(texts) - done)
        return out

    def stream(self, texts: Iterable[str], *, truncate: Truncate | None = None) -> Iterator[NDArray[np.float32]]:
        """Encode any iterable of texts with bounded memory.

        Args:
            texts: read a few thousand ahead of what is given out.
            truncate: overrides the encoder's setting for this call.

        Returns:
            An iterator of float32 [m, dimension], the vectors of the next m texts, m varying; concatenated they are
            `encode`'s result.

        Raises:
            InputTypeError, InputValueError, TruncationError: as `encode`, with the text's position in the stream;
                vectors of the texts before it have been given out, up to a window.
        """
        policy = self._policy(truncate)
        if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
            raise not_texts(texts)
        return self._stream(texts, policy)

    def _stream(self, texts: Iterable[str], policy: Truncate) -> Iterator[NDArray[np.float32]]:
        with contextlib.closing(self._submit(self._checked_windows(texts), policy)) as parts:
            for group, count, pending in parts:
                out = np.empty((len(group.given), self.dimension), np.float32)
                pending.write(out[:count])
                yield group.spread(out)
                # Not held while the next is computed: what the caller has dropped shall be gone.
                del out

    def _checked_windows(self, texts: Iterable[str]) -> Iterator[Distinct]:
        start = 0
        for window in windows(texts, self._limits):
            check_texts(window, start=start)
            yield Distinct.of(window)
            start += len(window)

    def _submit(
        self, groups: Iterable[Distinct], policy: Truncate
    ) -> Generator[tuple[Distinct, int, Pending], None, None]:
        """Tokenize and submit window after window, each while the one before it runs.

        Args:
            groups: checked texts, each of a group encoded once: all of a call, or a stream's windows one by one.
            policy: what to do with texts that are too long.

        Yields:
            The group a window is of, how many of its distinct texts are the window's, and their vectors under way.
        """
        runner = self._runner
        under_way: list[tuple[Distinct, int, Pending]] = []
        start = cut = total = 0
        try:
            for group in groups:
                for window in windows(group.texts, self._limits):
                    # Before anything of the old runner is touched: the fork may have left its locks held.
                    self._refuse_after_fork(runner)
                    tokens = self._tokenizer.encode(window)
                    too_long = [window[i] for i in tokens.cut]
                    if too_long and policy == "error":
                        raise TruncationError(
                            f"texts[{start + group.position(too_long[0])}] has more than max_tokens={self.max_tokens} "
                            "tokens; shorten it, or cut it with truncate='warn' or 'silent'"
                        )
                    cut += group.count(too_long)
                    under_way.append((group, len(window), runner.submit(tokens.ids)))
                    total += group.count(window)
                    # Vectors are all that is waited for.
                    del tokens, window
                    if len(under_way) > 1:
                        yield under_way[0]
                        del under_way[0]
                start += len(group.given)
            while under_way:
                self._refuse_after_fork(runner)
                yield under_way[0]
                del under_way[0]
        finally:
            if self._runner is runner:
                for _, _, pending in under_way:
                    pending.cancel()
            # Also where the texts, or whoever took the vectors, came to an early end.
            if cut and policy == "warn":
                message = f"{cut} of {total} texts were longer than max_tokens={self.max_tokens} tokens and were cut"
                warnings.warn(TruncationWarning(message, cut=cut, total=total), stacklevel=3)

    def _refuse_after_fork(self, runner: Runner) -> None:
        """The workers that have these vectors under way are in the parent process; here nobody would finish them."""
        if self._runner is not runner:
            raise ClosedError("this stream was begun before a fork; begin another one in the child")

    def _after_fork_in_child(self) -> None:
        """Take a fresh runner: the parent's threads, and whichever of them held its locks, are not here."""
        self._runner.abandon()
        self._runner = self._new_runner()

    def _warm_up(self) -> None:
        """Run once: the first caller shall not pay for first allocations, and a graph that does not fit shows here."""
        found = self._runner.joint().dimension
        if found != self.dimension:
            raise IntegrityError(
                f"{self._folder}: the graph gives {found} floats a vector, the manifest says "
                f"{self.dimension}; export again"
            )
        self.encode(["Warm up."], truncate="silent")

    def _new_runner(self) -> Runner:
        return Runner(
            self._folder,
            device=self._device,
            threads=self._threads,
            optimize_for=self._optimize_for,
            limits=self._limits,
            manifest=self.manifest,
        )

    def _policy(self, truncate: Truncate | None) -> Truncate:
        if self._closed:
            raise ClosedError("this encoder is closed; open a new one")
        return self._truncate if truncate is None else checked_truncate(truncate)

    def close(self) -> None:
        """Free the graph and its threads. Closing twice is fine.

        Texts that another thread has under way are finished first; a call or a stream that has more than a window of
        them to go raises ClosedError.
        """
        self._closed = True
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_with, (str(self._folder), self._options)

    def __repr__(self) -> str:
        m = self.manifest
        return (
            f"<Encoder {str(self._folder)!r}: {m.source.id}, pooler {m.pooler}, {m.precision} on {self._device}, "
            f"dimension {m.dimension}, max_tokens {self.max_tokens}>"
        )


def _open_with(folder: str, options: dict[str, Any]) -> Encoder:
    return Encoder(folder, **options)


@contextlib.contextmanager
def _progress_bar(total: int, shown: bool) -> Iterator[Callable[[int], Any] | None]:
    if not shown:
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit="text", unit_scale=True) as bar:
        yield bar.update
