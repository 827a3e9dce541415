"""Encoder: texts → vectors, with the artifact's tokenizer, graph and pooler."""

import contextlib
import functools
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from .artifact.hub import locate
from .artifact.manifest import Manifest
from .distinct import Distinct
from .errors import ClosedError, KernelsWarning, UnverifiedWarning
from .forms import DType, VectorForm
from .inputs import OptimizeFor, Truncate, check_texts, checked_choice, checked_count, checked_sequence, not_texts
from .machine.cpu import usable_cpus
from .machine.limits import naming_limits
from .model import Model, releasing_frames
from .options import EncodeOptions, OpenOptions
from .pipeline import Rescued, submit_windows
from .progress import progress_bar
from .prompts import DOCUMENT, QUERY, Prompts
from .runner import Runner
from .selection import Devices
from .streaming import stream_blocks
from .tokenizer import Token, Tokens


class Encoder:
    """Turns sentences into vectors with an exported artifact.

    >>> with Encoder(artifact) as encoder:
    ...     encoder.encode(["A man plays a guitar.", "Someone makes music."]).shape
    (2, 384)

    A sentence's vector does not depend on what it is encoded with (to 1e-6; in int8 to the bit, in the layout "padded"
    nearly). One encoder may be used from many threads at once. It can be pickled (by path), and works in a child
    process after `fork` or `spawn`.

    Attributes:
        manifest: what is known of the artifact.
        max_tokens: tokens of the longest text, special tokens included; longer texts are cut.
        prompts: what the artifact puts before texts.
    """

    manifest: Manifest
    max_tokens: int
    prompts: Prompts

    def __init__(
        self,
        artifact: str | os.PathLike[str],
        *,
        device: str | None = None,
        devices: Devices = None,
        threads: int | None = None,
        truncate: Truncate = "warn",
        max_tokens: int | None = None,
        optimize_for: OptimizeFor = "both",
    ) -> None:
        """Load, check and warm up an artifact.

        Args:
            artifact: its folder, or a hub id ``user/name[@revision]`` (see `simcse_engine.artifact.hub.locate`).
            device: "cpu", "cuda" or "cuda:N"; None for the artifact's target. A device that cannot run it raises.
            devices: several that share all work, such as ["cuda:0", "cuda:1"], or "all" for every GPU that this process
                sees. One that is named twice gets a second session.
            threads: threads to keep busy; None for as many as affinity, the cgroup quota and OMP_NUM_THREADS allow.
            truncate: what to do with texts longer than ``max_tokens``: "warn" (cut, and count them in a
                `TruncationWarning`), "error" (raise `TruncationError`) or "silent" (cut).
            max_tokens: a lower limit than the artifact's.
            optimize_for: how threads share the work. "both": few sentences run on all threads jointly, many run side by
                side on one thread each. "latency": all run on all threads jointly; bulk work takes a little longer.
                "throughput": all run on one thread each; one sentence takes as long as on one core. Without our
                kernels "both" packs the weights in memory once more with the first bulk call; the others save that.

        Raises:
            ArtifactError: the artifact is missing, damaged or newer than this engine.
            RuntimeMissingError: onnxruntime is not installed, or installed twice.
            ProviderError: ``device`` cannot run here.
            InputValueError: an option, or the environment's SIMCSE_KERNELS, has a value that cannot be used.
            LimitError: this process may have no more open files, memory or threads.
        """
        if isinstance(devices, Sequence) and not isinstance(devices, str):
            devices = tuple(devices)
        # As the caller passed them: the process that unpickles may have other CPUs.
        self._options: OpenOptions = {
            "device": device,
            "devices": devices,
            "threads": threads,
            "truncate": truncate,
            "max_tokens": max_tokens,
            "optimize_for": optimize_for,
        }
        self._truncate = checked_choice("truncate", truncate, Truncate)
        with contextlib.ExitStack() as on_failure:
            on_failure.push(releasing_frames())
            self._model = Model(
                locate(artifact).absolute(),
                device=device,
                devices=devices,
                threads=checked_count("threads", threads, usable_cpus()),
                max_tokens=max_tokens,
                optimize_for=checked_choice("optimize_for", optimize_for, OptimizeFor),
            )
            on_failure.callback(self.close)
            self.manifest, self.max_tokens = self._model.manifest, self._model.max_tokens
            self.prompts = Prompts(self.manifest.prompts, self.manifest.default_prompt_name)
            self._tokenizer = self._model.tokenizer
            if self.manifest.verified is None and self.device != "cpu":
                warnings.warn(
                    UnverifiedWarning(
                        f"{self.artifact}: its vectors were compared with the reference model's only on a CPU; "
                        "simcse-engine verify compares them here, and records it in the manifest"
                    ),
                    stacklevel=2,
                )
            if self._model.kernels.avoidable:
                warnings.warn(
                    KernelsWarning(
                        f"{self.artifact}: runs without our kernels, more slowly than this CPU could: "
                        f"{self._model.kernels.reason}"
                    ),
                    stacklevel=2,
                )
            on_failure.pop_all()

    @property
    def artifact(self) -> Path:
        """The artifact's folder."""
        return self._model.folder

    @property
    def options(self) -> OpenOptions:
        """What it was opened with beside the artifact, as the caller gave it."""
        return self._options.copy()

    @property
    def device(self) -> str:
        """The device that it runs on: "cpu", "cuda" or "cuda:N"; the first of several."""
        return self._model.devices[0]

    @property
    def devices(self) -> tuple[str, ...]:
        """All devices that it runs on, as often as each was named."""
        return self._model.devices

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._model.closed

    @property
    def kernels(self) -> str | None:
        """The variant of our kernels that run it, such as "avx2"; None where the runtime's own operators do."""
        return self._model.kernels.variant

    @property
    def dimension(self) -> int:
        """Floats per vector."""
        return self.manifest.dimension

    def tokens_of(self, text: str, *, special_tokens: bool = True) -> Iterator[Token]:
        """All tokens of a text that `simcse_engine.inputs.check_texts` has passed, for people; nothing is cut."""
        return self._tokenizer.describe(text, special_tokens=special_tokens)

    @overload
    def encode(
        self,
        texts: Sequence[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        dimensions: int | None = None,
        dtype: Literal["float32"] = "float32",
        truncate: Truncate | None = None,
        progress: bool = False,
    ) -> NDArray[np.float32]: ...

    @overload
    def encode(
        self,
        texts: Sequence[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        dimensions: int | None = None,
        dtype: DType,
        truncate: Truncate | None = None,
        progress: bool = False,
    ) -> NDArray[Any]: ...

    def encode(
        self,
        texts: Sequence[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        dimensions: int | None = None,
        dtype: DType = "float32",
        truncate: Truncate | None = None,
        progress: bool = False,
    ) -> NDArray[Any]:
        """Encode a list of texts; repeated texts run once.

        Args:
            texts: any ordered collection with a length: list, tuple, array. For an iterator use `stream`.
            prompt_name: which of the artifact's prompts is put before each text; None for the artifact's default, if it
                has one.
            prompt: a prompt of the caller's own, whatever ``prompt_name`` says; "" for none.
            dimensions: only the first so many numbers of each vector, which then has unit length again if it had; None
                for all.
            dtype: "float32", "float16", "int8" or "uint8" (scaled by what export measured), "binary" or "ubinary" (one
                bit for each number, packed); see `simcse_engine.forms.VectorForm`.
            truncate: overrides the encoder's setting for this call.
            progress: show a bar on stderr.

        Returns:
            [len(texts), dimensions], of ``dtype``; packed bits are int8 or uint8 [len(texts), dimensions / 8]. Row i is
            the vector of ``texts[i]``. Unit length if ``manifest.normalized``.

        Raises:
            InputTypeError: ``texts`` is a `str`, or an item is none.
            InputValueError: a text holds a lone surrogate; there is no such prompt; the vectors have fewer dimensions.
            TruncationError: a text is too long, with ``truncate="error"``.
            ClosedError: after `close`.
            LimitError: this process may have no more memory or threads.
        """
        policy = self._policy(truncate)
        chosen, form = self.prompts.choose(prompt_name, prompt), VectorForm.of(self.manifest, dimensions, dtype)
        texts = checked_sequence(texts)
        with naming_limits:
            # All of them before the first runs: a bad text at the end must not cost the work before it.
            check_texts(texts)
            distinct = Distinct.of(texts)
            vectors = np.empty((len(texts), form.columns), form.numpy)
            done = 0
            submitted = submit_windows([distinct], self._tokenizer, self._runner, policy, chosen)
            with progress_bar(len(texts), progress) as advance, contextlib.closing(submitted):
                written = None if advance is None else lambda rows: advance(len(rows))
                for window in submitted:
                    rows = vectors[done : done + window.count]
                    if form.plain:
                        window.pending.write(rows, written)
                    else:
                        floats = np.empty((window.count, self.dimension), np.float32)
                        rows[:] = form.apply(window.pending.write(floats, written))
                    done += window.count
                distinct.spread(vectors)
                if advance is not None:
                    advance(len(texts) - done)
            return vectors

    def encode_query(self, texts: Sequence[str], **options: Unpack[EncodeOptions]) -> NDArray[Any]:
        """Encode texts that look for others: as `encode`, with the prompt named "query" unless one is chosen."""
        return self.encode(texts, **self.prompts.for_kind(QUERY, options))

    def encode_document(self, texts: Sequence[str], **options: Unpack[EncodeOptions]) -> NDArray[Any]:
        """Encode texts to be found: as `encode`, with the prompt for documents unless one is chosen.

        That is the first of "document", "passage" and "corpus" that the artifact has, as in sentence-transformers; and
        "document" every one has, be it empty.
        """
        return self.encode(texts, **self.prompts.for_kind(DOCUMENT, options))

    def stream(
        self,
        texts: Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        dimensions: int | None = None,
        dtype: DType = "float32",
        truncate: Truncate | None = None,
        progress: Callable[[int], Any] | None = None,
    ) -> Iterator[NDArray[Any]]:
        """Encode any iterable of texts with bounded memory.

        Args:
            texts: read a few thousand ahead of the vectors.
            prompt_name: as for `encode`.
            prompt: as for `encode`.
            dimensions: as for `encode`.
            dtype: as for `encode`.
            truncate: overrides the encoder's setting for this call.
            progress: called with a number of texts whenever so many more are encoded, far more often than vectors are
                yielded.

        Returns:
            An iterator of [m, dimensions], the vectors of the next m texts, where m varies. Concatenated they are the
            result of `encode`.

        Raises:
            InputTypeError, InputValueError, TruncationError: as `encode`, with the text's position in the stream;
                the vectors of the texts before it were yielded, up to a window.
        """
        policy = self._policy(truncate)
        chosen, form = self.prompts.choose(prompt_name, prompt), VectorForm.of(self.manifest, dimensions, dtype)
        if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
            raise not_texts(texts)
        blocks = stream_blocks(self._model, texts, chosen, policy, progress)
        return blocks if form.plain else _in_form(blocks, form)

    def count_tokens(
        self, texts: Sequence[str], *, prompt_name: str | None = None, prompt: str | None = None
    ) -> list[int]:
        """Count each text's tokens, special ones and the prompt's included; nothing is cut.

        Raises:
            InputTypeError, InputValueError: as `encode`.
        """
        texts = checked_sequence(texts)
        check_texts(texts)
        chosen = self.prompts.choose(prompt_name, prompt)
        with naming_limits:
            return self._tokenizer.counts([chosen + text for text in texts] if chosen else texts)

    def stream_or_rescue(
        self, texts: Iterable[str], progress: Callable[[int], Any] | None, rescued: Rescued
    ) -> Iterator[NDArray[np.float32]]:
        """As `stream`, for an index: Ctrl-C leaves in ``rescued`` what had been encoded of the window under way.

        The prompt is that of `encode_document`.
        """
        prompt = self.prompts.choose(None, None, DOCUMENT)
        return stream_blocks(self._model, texts, prompt, self._policy(None), progress, rescued)

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Token ids of texts that `simcse_engine.inputs.check_texts` has passed, cut at ``max_tokens``."""
        with naming_limits:
            return self._tokenizer.encode(texts)

    def run(self, ids: Sequence[list[int]], *, alone: bool, left_out: str = "") -> NDArray[np.float32]:
        """Run sentences, given by the token ids of `tokenize`: float32 [sentences, dimension].

        They run on all threads if they are ``alone``, else on the calling one, beside what other threads run. Pooling
        leaves out the tokens of a prompt that all begin with.
        """
        with naming_limits:
            skipped = self._tokenizer.count_prompt(left_out) if left_out else 0
            if not alone:
                return self._runner.run(ids, skipped)
            return self._runner.submit(ids, skipped).write(np.empty((len(ids), self.dimension), np.float32))

    @property
    def side_by_side(self) -> int:
        """How many threads keep the device busy, each with a `run` of its own."""
        return self._runner.side_by_side

    @property
    def _runner(self) -> Runner:
        """That of this process: a forked child has its own."""
        return self._model.runner

    def _policy(self, truncate: Truncate | None) -> Truncate:
        if self.closed:
            raise ClosedError("this encoder is closed; open a new one")
        return self._truncate if truncate is None else checked_choice("truncate", truncate, Truncate)

    def close(self) -> None:
        """Free the graph and its threads. Closing twice is fine.

        Texts that another thread has under way are finished first. A call or a stream with more than a window of
        texts to go raises ClosedError.
        """
        self._model.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(Encoder, str(self.artifact), **self._options), ()

    def __repr__(self) -> str:
        m = self.manifest
        device = ", ".join(self.devices) + (f" with {self.kernels} kernels" if self.kernels else "")
        return (
            f"<Encoder {str(self.artifact)!r}: {m.source.id}, pooler {m.pooler}, {m.precision} on {device}, "
            f"dimension {m.dimension}, max_tokens {self.max_tokens}>"
        )


def _in_form(blocks: Generator[NDArray[np.float32], None, None], form: VectorForm) -> Iterator[NDArray[Any]]:
    # A stream that is left midway is closed with this one.
    with contextlib.closing(blocks):
        yield from map(form.apply, blocks)
