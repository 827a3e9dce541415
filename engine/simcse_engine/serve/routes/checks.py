"""What requests have in common: texts, and what they ask of vectors, checked before anything is encoded."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...errors import InputValueError
from ...forms import DType, VectorForm, unit
from ..http.problems import Problem
from ..openapi import LIMIT
from ..service import Service

# One text or more, of which the document says how many at most.
Texts = str | Annotated[list[str], msgspec.Meta(min_length=1, extra_json_schema={LIMIT: "texts"})]
Dimensions = Annotated[int, msgspec.Meta(ge=1, extra_json_schema={LIMIT: "dimensions"})]
Prompt = Annotated[str | None, msgspec.Meta(extra_json_schema={LIMIT: "prompt_name"})]


def texts_of(member: str | list[str]) -> list[str]:
    """Texts as a list."""
    return [member] if isinstance(member, str) else member


def checked_form(
    service: Service, dimensions: int | None, dtype: DType | None, *, normalize: bool | None = None
) -> Callable[[NDArray[np.float32]], NDArray[Any]]:
    """What makes of the encoder's vectors those that a request asks for.

    Args:
        service: whose encoder it is.
        dimensions: how many numbers of each vector; None for all.
        dtype: their type, as for `Encoder.encode`; None for float32.
        normalize: whether vectors have unit length; None for what the artifact gives.

    Raises:
        Problem: more numbers than there are, vectors as they were before the artifact's graph normalized them, or
            numbers of 8 bits of an unknown range.
    """
    manifest = service.encoder.manifest
    if dimensions is not None and not 1 <= dimensions <= manifest.dimension:
        raise Problem(
            422,
            f"dimensions is {dimensions}; the vectors have {manifest.dimension}, and can only be cut",
            param="dimensions",
        )
    if normalize is False and manifest.normalized:
        raise Problem(
            422,
            "normalize is false, but this artifact's graph gives vectors of unit length; leave it out",
            param="normalize",
        )
    try:
        form = VectorForm.of(manifest, dimensions, dtype or "float32")
    except InputValueError as error:
        raise Problem(422, str(error), param="dtype") from error
    if not normalize or manifest.normalized:
        return form.apply
    if form.limit is not None:
        raise Problem(
            422,
            f"dtype is {dtype}, whose range export measured of vectors as the graph gives them, not at unit length; "
            "take another dtype for these",
            param="dtype",
        )
    of_units = VectorForm(
        dimensions=form.dimensions, dtype=form.dtype, normalized=True, full=form.full, limit=form.limit
    )
    return lambda vectors: of_units.apply(unit(vectors))
