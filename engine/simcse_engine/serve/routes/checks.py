"""What requests have in common: texts, and what they ask of vectors, checked before anything is encoded."""

from collections.abc import Callable
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...forms import cut, unit
from ..http.problems import Problem
from ..openapi import LIMIT
from ..service import Service

# One text or more, of which the document says how many at most.
Texts = str | Annotated[list[str], msgspec.Meta(min_length=1, extra_json_schema={LIMIT: "texts"})]
Dimensions = Annotated[int, msgspec.Meta(ge=1, extra_json_schema={LIMIT: "dimensions"})]
Prompt = Annotated[str | None, msgspec.Meta(extra_json_schema={LIMIT: "prompt_name"})]

Vectors = NDArray[np.float32]


def texts_of(member: str | list[str]) -> list[str]:
    """Texts as a list."""
    return [member] if isinstance(member, str) else member


def checked_dimensions(
    service: Service, dimensions: int | None, *, normalize: bool | None = None
) -> Callable[[Vectors], Vectors]:
    """What makes of the encoder's vectors those that a request asks for.

    Args:
        service: whose encoder it is.
        dimensions: how many numbers of each vector; None for all.
        normalize: whether vectors have unit length; None for what the artifact gives.

    Raises:
        Problem: more numbers than there are, or vectors as they were before the artifact's graph normalized them.
    """
    most, normalized = service.encoder.dimension, service.encoder.manifest.normalized
    if dimensions is not None and not 1 <= dimensions <= most:
        raise Problem(
            422, f"dimensions is {dimensions}; the vectors have {most}, and can only be cut", param="dimensions"
        )
    if normalize is False and normalized:
        raise Problem(
            422,
            "normalize is false, but this artifact's graph gives vectors of unit length; leave it out",
            param="normalize",
        )
    if dimensions is not None and dimensions < most:
        return lambda vectors: cut(vectors, dimensions, normalized=normalized or normalize is True)
    return unit if normalize and not normalized else _as_they_are


def check_prompt(name: str | None) -> None:
    """Raise Problem for the name of a prompt."""
    if name is not None:
        raise Problem(
            422,
            f"prompt_name is {name!r:.40}, and this artifact has no prompts; put the prompt before each text",
            param="prompt_name",
        )


def _as_they_are(vectors: Vectors) -> Vectors:
    return vectors
