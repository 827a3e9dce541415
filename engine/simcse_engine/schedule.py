"""Which sentences run together: pure functions, lengths in, batches out (docs/decisions/007-batches-and-limits.md).

The graph takes sentences laid end to end, so a batch may mix lengths without padding in the layers. Attention is
fastest, and needs no mask, where all lengths are equal. So bulk work is cut into batches of one length, up to a budget
of tokens; the rest of each length, too little to fill a run, is joined with its neighbours in length. A graph whose
runs take only one length gets nothing joined.

To our kernels the lengths of a run are all one. On a GPU batches are larger, and fused attention takes any lengths. A
graph on a padded grid gets neighbours in length.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from .artifact.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The sizes of batches and windows, measured by ``benchmarks/choices/limits.py``.

    Attributes:
        batch_tokens: most tokens per run, which bounds its memory (a longer text runs alone). Activations of 512 tokens
            stay in a core's cache.
        full_batch_tokens: a batch of one length runs as such from here on. With fewer tokens it is joined with others,
            since such a run reads the weights for too few rows.
        mixed_padding: most scores of attention that padding adds to a mixed batch, for each of its tokens (only
            attention is padded, to sentences x longest²). So short texts of any lengths run together, and long texts
            among themselves. None where nothing is padded, and a batch of one length gains nothing.
        window_texts: texts in memory at once (twice: one window is tokenized while the last one runs).
        window_chars: the same in characters, for long texts.
        padded: whether a run is a grid, all of whose places count as tokens.
        batch_sentences: most sentences per run; None for any number.
    """

    batch_tokens: int = 512
    full_batch_tokens: int = 192
    mixed_padding: int | None = 128
    window_texts: int = 2048
    window_chars: int = 2_000_000
    padded: bool = False
    batch_sentences: int | None = None


# Our kernels cut a run into tiles of whole sentences themselves, which threads share; the larger a run, the more tiles
# use a layer's weights while these are in cache. Smaller windows are tokenized while others run.
KERNEL_LIMITS = Limits(batch_tokens=2048, full_batch_tokens=2048, mixed_padding=None, window_texts=512)

# A GPU needs thousands of rows per product, and no batch waits for another of its length. Attention without padding
# pays for mixed lengths with idle blocks. Predicted; `python -m benchmarks.gpu` measures other sizes.
_GPU_BATCH = 16_384
# Windows of 2,048 texts, two or three batches of sentences, let a call of some thousand be tokenized while it runs.
GPU_LIMITS = Limits(batch_tokens=_GPU_BATCH, full_batch_tokens=_GPU_BATCH, mixed_padding=4096)
# In float32 the only kernel of attention fills a padded grid, scores included, which costs memory.
_GPU_FP32_LIMITS = replace(GPU_LIMITS, mixed_padding=512)


def limits_for(manifest: Manifest, device: str, *, kernels: bool = False, replicas: int = 1) -> Limits:
    """The sizes for an artifact's graph on "cpu", in our kernels or without them, or on a "cuda" device.

    So many ``replicas`` on GPUs share each window, which holds as much for each as that of one. Those on a CPU share
    its threads, and need no more than one does.
    """
    limits = _limits_of_one(manifest, device, kernels=kernels)
    if device == "cpu" or replicas == 1:
        return limits
    return replace(limits, window_texts=replicas * limits.window_texts, window_chars=replicas * limits.window_chars)


def _limits_of_one(manifest: Manifest, device: str, *, kernels: bool) -> Limits:
    if kernels:
        return KERNEL_LIMITS
    if manifest.layout in ("grid", "padded"):
        if device == "cpu" or manifest.max_batch is None:
            return Limits(padded=True)
        largest = manifest.max_batch * manifest.max_tokens
        return replace(GPU_LIMITS, padded=True, batch_tokens=largest, batch_sentences=manifest.max_batch)
    if device == "cpu":
        return Limits()
    return _GPU_FP32_LIMITS if manifest.precision == "fp32" else GPU_LIMITS


def shared(limits: Limits, lengths: Sequence[int], workers: int) -> Limits:
    """The limits for sentences of these lengths, such that all of ``workers`` are busy until the end.

    With less than a full batch per worker, batches are smaller. In our kernels, which take batches of any size, workers
    get equally many of nearly equal sizes: a few large batches would leave one worker idle while the other runs the
    last, and each batch reads all weights. On a GPU, which runs one after the other, they are only of nearly equal
    sizes: a small last one takes hardly less time than a large one.
    """
    total = sum(lengths)
    # A batch is full at its limit alone where a GPU runs it.
    on_gpu = limits.mixed_padding is not None and limits.full_batch_tokens >= limits.batch_tokens
    if limits.mixed_padding is None or on_gpu:
        at_once = 1 if on_gpu else workers
        batches = at_once * -(-total // (at_once * limits.batch_tokens))
        # Each batch but the last is filled up to less than a sentence, so there are no more of them than that.
        tokens = -(-total // batches) + max(lengths) - 1
        return replace(limits, batch_tokens=min(tokens, limits.batch_tokens) if on_gpu else tokens)
    share = max(limits.full_batch_tokens, -(-total // workers))
    return replace(limits, batch_tokens=min(limits.batch_tokens, share))


def make_batches(lengths: Sequence[int], limits: Limits, *, mixed: bool = True) -> list[list[int]]:
    """Cut sentences of these lengths in tokens into batches of positions in ``lengths``.

    No batch but a single sentence holds more than ``limits.batch_tokens``. The longest sentences come first, or without
    mixing the batches of most tokens, so that no long run is left for one worker at the end.

    Not ``mixed``, a batch holds one length. An int8 graph rounds activations, and in the runtime's operators another
    attention kernel changes last bits, which can flip a rounding. Runs of one length all take the same kernel, so that
    a sentence's vector is the same to the bit, whatever it is encoded with. Our kernels see to that by themselves.
    """
    by_length = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    if limits.padded:
        return _on_grid(by_length, lengths, limits)
    if limits.mixed_padding is None:
        return _join(by_length, lengths, limits)
    batches, rest = [], []
    for length, group in itertools.groupby(by_length, key=lengths.__getitem__):
        positions = list(group)
        size = max(1, limits.batch_tokens // length)
        for start in range(0, len(positions), size):
            batch = positions[start : start + size]
            if not mixed or len(batch) * length >= limits.full_batch_tokens:
                batches.append(batch)
            else:
                rest += batch
    if not mixed:
        return sorted(batches, key=lambda batch: len(batch) * lengths[batch[0]], reverse=True)
    batches += _join(rest, lengths, limits)
    return sorted(batches, key=lambda batch: lengths[batch[0]], reverse=True)


def _on_grid(positions: list[int], lengths: Sequence[int], limits: Limits) -> list[list[int]]:
    """Cut sentences, sorted by falling length, into grids within the budget."""
    batches = []
    start = 0
    while start < len(positions):
        size = max(1, limits.batch_tokens // lengths[positions[start]])
        size = min(size, limits.batch_sentences or size)
        batches.append(positions[start : start + size])
        start += size
    return batches


def _join(positions: list[int], lengths: Sequence[int], limits: Limits) -> list[list[int]]:
    """Cut sentences, sorted by falling length, into mixed batches within the budgets of tokens and padding."""
    batches: list[list[int]] = []
    tokens = scores = 0
    for position in positions:
        length = lengths[position]
        if batches:
            batch = batches[-1]
            padding = (len(batch) + 1) * lengths[batch[0]] ** 2 - (scores + length**2)
            fits = limits.mixed_padding is None or padding <= limits.mixed_padding * (tokens + length)
            if tokens + length <= limits.batch_tokens and fits:
                batch.append(position)
                tokens, scores = tokens + length, scores + length**2
                continue
        batches.append([position])
        tokens, scores = length, length**2
    return batches


def windows(texts: Iterable[str], limits: Limits) -> Iterator[list[str]]:
    """Cut texts into lists that are small enough to hold and large enough to sort by length."""
    window: list[str] = []
    chars = 0
    for text in texts:
        window.append(text)
        # An item that is no str does not count here; the check of the window refuses it, with its position.
        chars += len(text) if isinstance(text, str) else 0
        if len(window) == limits.window_texts or chars >= limits.window_chars:
            yield window
            window, chars = [], 0
    if window:
        yield window
