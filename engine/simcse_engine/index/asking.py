"""Asking: what callers search for, as vectors and words."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import InputTypeError, InputValueError
from ..inputs import check_texts, checked_sequence
from .binding import Binding
from .search.queries import Mode, Queries


def asked(
    binding: Binding, queries: Sequence[str] | NDArray[np.float32], mode: Mode, keywords: Sequence[str] | None
) -> Queries:
    """What a search in ``mode`` takes, of the arguments of `Index.search`."""
    if mode == "vector":
        if keywords is not None:
            raise InputValueError("keywords=… are for mode='keywords' and 'hybrid'; by default, vectors alone count")
        return Queries(vectors=binding.queries(queries))
    if not (isinstance(queries, np.ndarray) and queries.dtype.kind in "fiu"):
        texts = _checked_texts("queries", queries, mode)
        vectors = binding.queries(texts) if mode == "hybrid" else np.empty((len(texts), 0), np.float32)
    elif keywords is not None:
        texts, vectors = (), binding.queries(queries)
    else:
        raise InputTypeError(f"queries are vectors, which have no words for mode={mode!r}; give texts, or keywords=…")
    if keywords is not None:
        texts = _checked_texts("keywords", keywords, mode)
        if len(texts) != len(vectors):
            raise InputValueError(f"keywords has {len(texts)} for {len(vectors)} queries; expected one for each")
    return Queries(vectors=vectors, texts=texts)


def _checked_texts(name: str, texts: object, mode: Mode) -> Sequence[str]:
    if isinstance(texts, str):
        raise InputTypeError(f"{name} is one str; give a list, as in search([text])")
    checked: Sequence[str] = checked_sequence(texts)  # type: ignore[arg-type]
    for position, text in enumerate(checked):
        if not isinstance(text, str):
            raise InputTypeError(
                f"{name}[{position}] is {type(text).__name__}; expected a text, since mode={mode!r} searches for its "
                "words; vectors are an array, beside keywords=…"
            )
    check_texts(checked)
    return checked
