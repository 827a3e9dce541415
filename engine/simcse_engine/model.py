"""Model: an artifact opened on its devices, with its tokenizer and the runner of its sessions."""

import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from .artifact.manifest import TOKENIZER, Manifest
from .artifact.opening import loading_artifact
from .errors import InputValueError, IntegrityError
from .inputs import OptimizeFor, checked_max_tokens
from .machine.forks import ForkAware, register
from .machine.limits import naming_limits
from .runner import Runner
from .selection import Devices, checked_devices, checked_shares
from .session.kernels import Kernels, kernels_for
from .tokenizer import Tokenizer

_WARM_UP = ("Warm up.",)


class Model(ForkAware):
    """What an encoder encodes with; it works in a child process after `fork`, with sessions of its own.

    Attributes:
        folder: the artifact's.
        manifest: what is known of it.
        devices: that it runs on.
        max_tokens: where texts are cut.
        kernels: which of our kernels run it.
        tokenizer: texts → token ids.
        runner: token ids → vectors.
        closed: whether `close` was called.
    """

    manifest: Manifest
    devices: tuple[str, ...]
    max_tokens: int
    kernels: Kernels
    tokenizer: Tokenizer
    runner: Runner

    def __init__(
        self,
        folder: Path,
        *,
        device: str | None,
        devices: Devices,
        threads: int,
        max_tokens: int | None,
        optimize_for: OptimizeFor,
    ) -> None:
        """Load, check and warm up the artifact in ``folder``; raises as `simcse_engine.Encoder`."""
        self.closed = False
        self.folder = folder
        self._threads = threads
        self._optimize_for = optimize_for
        with ExitStack() as on_failure:
            with naming_limits, loading_artifact(folder) as self.manifest:
                self.devices = checked_devices(device, devices, self.manifest)
                checked_shares(threads, self.devices)
                self.max_tokens = checked_max_tokens(max_tokens, self.manifest)
                self.kernels = kernels_for(folder, self.devices[0])
                self.tokenizer = self._new_tokenizer()
                self.runner = self._new_runner()
                on_failure.callback(self.close)
                register("encoder", self)
                self._warm_up()
            on_failure.pop_all()

    def _after_fork_in_child(self) -> None:
        """Take a fresh runner: the parent's threads, and whichever of them held its locks, are not here."""
        self.runner.abandon()
        self.runner = self._new_runner()

    def _warm_up(self) -> None:
        """Run once on each device: for the first allocations, and to see that the graph is the manifest's."""
        dimension = self.runner.joint().dimension
        if dimension != self.manifest.dimension:
            raise IntegrityError(
                f"{self.folder}: the graph gives {dimension} floats per vector, the manifest says "
                f"{self.manifest.dimension}; export again"
            )
        self.runner.warm_up(self.tokenizer.encode(_WARM_UP).ids)

    def _new_tokenizer(self) -> Tokenizer:
        try:
            # GPUs encode faster than one thread tokenizes.
            return Tokenizer(self.folder / TOKENIZER, self.max_tokens, together=self.devices[0] != "cpu")
        except InputValueError as error:
            if self.max_tokens < self.manifest.max_tokens:
                raise
            raise IntegrityError(f"{self.folder}: the manifest says {error}; export again") from error

    def _new_runner(self) -> Runner:
        return Runner(
            self.folder,
            self.manifest,
            devices=self.devices,
            threads=self._threads,
            optimize_for=self._optimize_for,
            kernels=self.kernels,
        )

    def close(self) -> None:
        """Free the graph and its threads, once the texts under way are finished."""
        self.closed = True
        self.runner.close()


def releasing_frames() -> Callable[[object, BaseException | None, object], None]:
    """Let go of what an error's frames hold: a caller who keeps the error must not keep a session with its threads.

    The frames of what the caller is handling now stay: they are the caller's.
    """
    until = sys.exception()

    def release(_: object, error: BaseException | None, __: object) -> None:
        while error is not None and error is not until:
            traceback.clear_frames(error.__traceback__)
            error = error.__context__

    return release
