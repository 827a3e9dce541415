"""The search in an index."""

import time
from typing import Annotated, Literal

import msgspec

from ....errors import SearchIndexError
from ....index import Hit, Index
from ....prompts import QUERY
from ...http.arrays import listed
from ...http.messages import Request, Response
from ...http.problems import Problem
from ...service import Service
from ..checks import Texts, texts_of
from ..route import Route
from .access import shared
from .answers import HitAnswer, Written
from .members import Where

# Hits of all queries of a request.
MAX_HITS = 16_384


class SearchRequest(msgspec.Struct, frozen=True):
    """What to search for.

    ``where`` is a filter on metadata, as in {"year": {"$gte": 2020}}; ``exact``: true compares every vector, false uses
    the ANN graph, null decides by size. ``mode``: "keywords" ranks by the words in common, "hybrid" by these and the
    vectors together; both need an index of words.
    """

    queries: Texts
    k: Annotated[int, msgspec.Meta(ge=1, le=MAX_HITS)] = 5
    threshold: float | None = None
    where: Where | None = None
    exact: bool | None = None
    mode: Literal["vector", "keywords", "hybrid"] = "vector"
    truncate: bool | None = None


async def search(service: Service, request: Request, body: SearchRequest) -> Response:
    """The hits of each query, best first."""
    queries = texts_of(body.queries)
    if len(queries) * body.k > MAX_HITS:
        raise Problem(
            422,
            f"{len(queries):,} queries with k={body.k:,} ask for {len(queries) * body.k:,} hits; {MAX_HITS:,} are the "
            "most of a request",
            param="k",
        )
    encoded = await service.encode(request, queries, body.truncate, param="queries", kind=QUERY)

    def found(index: Index) -> bytes:
        try:
            hits = index.search(
                encoded.vectors,
                body.k,
                threshold=body.threshold,
                where=body.where,
                exact=body.exact,
                mode=body.mode,
                keywords=None if body.mode == "vector" else queries,
            )
        except SearchIndexError as error:
            if body.mode == "vector" or index.about.keywords:
                raise
            lacking = f'mode "{body.mode}" needs an index of words, which "simcse-engine index keywords" makes'
            raise Problem(422, lacking, param="mode") from error
        written = Written()
        return listed([listed([written.checked(_as_json(hit), param="k") for hit in each]) for each in hits])

    began = time.perf_counter()
    answer = await shared(service).read(found)
    milliseconds = (time.perf_counter() - began) * 1000
    return Response(answer, headers=[(b"x-search-time", b"%.3f" % milliseconds)])


def _as_json(hit: Hit) -> bytes:
    return msgspec.json.encode(hit._asdict())


ROUTES = (
    Route(
        method="POST",
        path="/search",
        handler=search,
        summary="The entries of the index that are nearest to each query",
        takes=SearchRequest,
        answers=list[list[HitAnswer]],
        headers=("x-search-time",),
        encodes=True,
        needs_index=True,
    ),
)
