"""A bar on stderr for whoever waits for many texts."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def progress_bar(total: int, shown: bool) -> Iterator[Callable[[int], Any] | None]:
    """Show a bar of ``total`` texts while the block runs; what it yields takes how many more are done."""
    if not shown:
        yield None
        return
    # Imported lazily: few calls show a bar.
    from tqdm import tqdm

    with tqdm(total=total, unit="text", unit_scale=True) as bar:
        yield bar.update
