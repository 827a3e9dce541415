"""A stream of texts → blocks of vectors, with bounded memory."""

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .distinct import Distinct
from .inputs import Truncate, check_texts
from .machine.limits import naming_limits
from .model import Model
from .pipeline import Rescued, submit_windows
from .schedule import Limits, windows


def stream_blocks(
    model: Model,
    texts: Iterable[str],
    prompt: str,
    policy: Truncate,
    progress: Callable[[int], Any] | None,
    rescued: Rescued | None = None,
) -> Generator[NDArray[np.float32], None, None]:
    """The vectors of the texts, each behind the prompt, window by window: see `simcse_engine.Encoder.stream`."""
    windows_of = _checked_windows(texts, model.runner.limits)
    submitted = submit_windows(windows_of, model.tokenizer, model.runner, policy, prompt)
    done: list[int] = []

    def written(rows: list[int]) -> None:
        done.extend(rows)
        if progress is not None:
            progress(len(rows))

    with contextlib.closing(submitted):
        for window in submitted:
            group, count = window.group, window.count
            with naming_limits:
                vectors = np.empty((len(group.originals), model.manifest.dimension), np.float32)
            done.clear()
            try:
                window.pending.write(vectors[:count], written)
            except KeyboardInterrupt:
                if rescued is not None:
                    rescued.positions, rescued.vectors = group.part(done, vectors[:count])
                raise
            if progress is not None and count < len(vectors):
                progress(len(vectors) - count)
            yield group.spread(vectors)
            # Not held while the next are computed: what the caller has dropped must be freed.
            del vectors, window


def _checked_windows(texts: Iterable[str], limits: Limits) -> Iterator[Distinct]:
    start = 0
    for window in windows(texts, limits):
        check_texts(window, start=start)
        yield Distinct.of(window)
        start += len(window)
