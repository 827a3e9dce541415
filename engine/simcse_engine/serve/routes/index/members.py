"""Members that several requests have: keys, filters, and what is asked of vectors."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ....forms import DType
from ....index import Entry
from ...http.arrays import rows_as_base64, rows_as_json
from ...openapi import LIMIT
from ...service import Service
from ..checks import Dimensions, checked_form

# Keys of a request: removing so many takes some hundred milliseconds, in which nothing else is written.
MAX_KEYS = 16_384

# Which of the two, the index says.
Key = Annotated[int | str, msgspec.Meta(extra_json_schema={LIMIT: "key"})]
Keys = Annotated[list[Key], msgspec.Meta(max_length=MAX_KEYS)]
DistinctKeys = Annotated[list[Key], msgspec.Meta(max_length=MAX_KEYS, extra_json_schema={"uniqueItems": True})]
Where = dict[str, Any]
Metadata = list[dict[str, Any] | None]


class VectorMembers(msgspec.Struct, frozen=True):
    """Whether entries come with their vectors, and in which form: as of /embed, and of OpenAI's ``encoding_format``."""

    vectors: bool = False
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Dimensions | None = None
    dtype: DType | None = None

    def writer(self, service: Service) -> Callable[[Any], bytes]:
        """What writes entries as the index gives them as JSON: each in a pair with its vector if that is asked for.

        Problem for a form of vectors that there is not.
        """
        # An index keeps vectors at unit length, whatever the artifact gives.
        form = checked_form(service, self.dimensions, self.dtype, normalize=True)
        rows = rows_as_base64 if self.encoding_format == "base64" else rows_as_json

        def with_vector(pair: tuple[Entry, NDArray[np.float32]]) -> bytes:
            entry, vector = pair
            return msgspec.json.encode({**entry._asdict(), "vector": msgspec.Raw(rows(form(vector[None]))[0])})

        return with_vector if self.vectors else _as_json


def _as_json(entry: Entry) -> bytes:
    return msgspec.json.encode(entry._asdict())
