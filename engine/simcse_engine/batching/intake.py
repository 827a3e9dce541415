"""Intake: a caller's texts, checked, weighed and looked up, in slices that do not hold up an event loop."""

import asyncio
from collections.abc import Iterator, Sequence

from ..inputs import check_texts
from .cache import VectorCache
from .job import Job, estimated_tokens, too_long

# A slice takes about a millisecond.
_SLICE_TEXTS = 1024
_SLICE_CHARS = 500_000


async def checked(texts: Sequence[str], prompt: str) -> list[str]:
    """A copy of the texts, each behind the prompt; raises as `check_texts`."""
    behind: list[str] = []
    for start, stop in _slices(texts):
        if start:
            await asyncio.sleep(0)
        part = texts[start:stop]
        check_texts(part, start=start)
        behind += [prompt + text for text in part] if prompt else part
    return behind


async def fill(job: Job, cache: VectorCache | None, max_tokens: int) -> None:
    """Note which of a job's checked texts must run, and write the vectors of those that need not."""
    texts = job.texts
    originals: dict[str, int] = {}
    for start, stop in _slices(texts):
        if start:
            await asyncio.sleep(0)
        for position in range(start, stop):
            text = texts[position]
            original = originals.setdefault(text, position)
            if original != position:
                job.repeat(position, original)
                continue
            known = None if cache is None else cache.get(text)
            if known is None:
                job.need(position, estimated_tokens(text, max_tokens))
            elif known.cut and job.truncate == "error":
                raise too_long(position, max_tokens)
            else:
                job.know(position, known.vector, known.tokens, known.cut)


def _slices(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where slices begin and end."""
    start = chars = 0
    for position, text in enumerate(texts):
        # An item that is no str does not count here; the check refuses it.
        chars += len(text) if isinstance(text, str) else 0
        if position + 1 - start == _SLICE_TEXTS or chars >= _SLICE_CHARS:
            yield start, position + 1
            start, chars = position + 1, 0
    if start < len(texts):
        yield start, len(texts)
