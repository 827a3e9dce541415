"""The routes of an index: search, add, remove, read."""

import time
from typing import Annotated, Any, Literal

import msgspec

from ...errors import SearchIndexError
from ...index import Index
from ...prompts import DOCUMENT, QUERY
from ..http.arrays import listed
from ..http.messages import Request, Response
from ..http.problems import Problem
from ..openapi import LIMIT
from ..service import Service
from ..shared_index import NewEntries, SharedIndex
from .checks import Texts, texts_of
from .route import Route

# Hits of all queries of a request.
MAX_HITS = 16_384
# Keys of a request: removing so many takes some hundred milliseconds, in which nothing else is written.
MAX_KEYS = 16_384
# Bytes of a request's entries, which may repeat, and have texts of any length.
MAX_BYTES = 32_000_000

# Which of the two, the index says.
Key = Annotated[int | str, msgspec.Meta(extra_json_schema={LIMIT: "key"})]
Keys = Annotated[list[Key], msgspec.Meta(max_length=MAX_KEYS)]
NewKeys = Annotated[list[Key], msgspec.Meta(max_length=MAX_KEYS, extra_json_schema={"uniqueItems": True})]


class SearchRequest(msgspec.Struct, frozen=True):
    """What to search for.

    ``where`` is a filter on metadata, as in {"year": {"$gte": 2020}}; ``exact``: true compares every vector, false uses
    the ANN graph, null decides by size. ``mode``: "keywords" ranks by the words in common, "hybrid" by these and the
    vectors together; both need an index of words.
    """

    queries: Texts
    k: Annotated[int, msgspec.Meta(ge=1, le=MAX_HITS)] = 5
    threshold: float | None = None
    where: dict[str, Any] | None = None
    exact: bool | None = None
    mode: Literal["vector", "keywords", "hybrid"] = "vector"
    truncate: bool | None = None


class HitAnswer(msgspec.Struct, frozen=True):
    """An entry that was found, and its score, by default the cosine of its vector and the query's."""

    key: Key
    score: float
    text: str
    metadata: dict[str, Any] | None


class AddRequest(msgspec.Struct, frozen=True):
    """Texts to add, each with a key of its own, or with automatic ones; perhaps with metadata.

    An entry with the same key is replaced. Keys are of the kind that the index was made with: whole numbers from 0 to
    2**64 - 2, strings (of which none is automatic), or UUIDs. Numbers above 2**53 JavaScript reads inexactly.
    """

    texts: Texts
    keys: NewKeys | None = None
    metadata: list[dict[str, Any] | None] | None = None
    truncate: bool | None = None


class AddAnswer(msgspec.Struct, frozen=True):
    """The keys of the texts, which are on the disk now."""

    keys: list[Key]


class KeysRequest(msgspec.Struct, frozen=True):
    """Keys of entries."""

    keys: Keys


class RemoveAnswer(msgspec.Struct, frozen=True):
    """How many entries there were, which are gone now."""

    removed: int


class EntryAnswer(msgspec.Struct, frozen=True):
    """An entry."""

    key: Key
    text: str
    metadata: dict[str, Any] | None


class CountAnswer(msgspec.Struct, frozen=True):
    """How many entries there are."""

    count: int


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
        written = _Written("k")
        return listed([listed([written.json(hit._asdict()) for hit in of_query]) for of_query in hits])

    began = time.perf_counter()
    answer = await _shared(service).read(found)
    milliseconds = (time.perf_counter() - began) * 1000
    return Response(answer, headers=[(b"x-search-time", b"%.3f" % milliseconds)])


async def add(service: Service, request: Request, body: AddRequest) -> Response:
    """Add texts; they are on the disk when this answers."""
    shared = _writable(service)
    entries = await shared.checked(NewEntries(texts=texts_of(body.texts), keys=body.keys, metadata=body.metadata))
    encoded = await service.encode(request, entries.texts, body.truncate, param="texts", kind=DOCUMENT)
    return Response.json(AddAnswer(await shared.add(entries, encoded.vectors)))


async def remove(service: Service, request: Request, body: KeysRequest) -> Response:  # noqa: ARG001
    """Remove entries; keys without one are ignored."""
    return Response.json(RemoveAnswer(await _writable(service).remove(body.keys)))


async def get(service: Service, request: Request, body: KeysRequest) -> Response:  # noqa: ARG001
    """The entries under these keys, null where there is none."""

    def found(index: Index) -> bytes:
        written = _Written("keys")
        return listed([b"null" if entry is None else written.json(entry._asdict()) for entry in index.get(body.keys)])

    return Response(await _shared(service).read(found))


async def count(service: Service, request: Request, body: None) -> Response:  # noqa: ARG001
    """How many entries there are."""
    return Response.json(CountAnswer(await _shared(service).read(len)))


class _Written:
    """Writes an answer's entries, one by one: other threads run in between, and those that are too large end early."""

    def __init__(self, param: str) -> None:
        """``param`` is the request's member that asks for so many."""
        self._param = param
        self._bytes = 0

    def json(self, entry: dict[str, Any]) -> bytes:
        """An entry; Problem where they are too many bytes. One alone may be of any size."""
        written = msgspec.json.encode(entry)
        if self._bytes and self._bytes + len(written) > MAX_BYTES:
            raise Problem(
                422, f"the answer would have more than {MAX_BYTES:,} bytes; ask for fewer entries", param=self._param
            )
        self._bytes += len(written)
        return written


def _shared(service: Service) -> SharedIndex:
    assert service.shared_index is not None  # the routes are there only with one
    return service.shared_index


def _writable(service: Service) -> SharedIndex:
    shared = _shared(service)
    if shared.index.read_only:
        # Not 409, which may be another time: this service never writes.
        raise Problem(403, "this service only reads its index; start it without --read-only to write")
    return shared


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
    Route(
        method="POST",
        path="/add",
        handler=add,
        summary="Add texts to the index, or replace those of the same keys",
        takes=AddRequest,
        answers=AddAnswer,
        problems=(403, 409, 507),
        encodes=True,
        needs_index=True,
    ),
    Route(
        method="POST",
        path="/remove",
        handler=remove,
        summary="Remove entries from the index",
        takes=KeysRequest,
        answers=RemoveAnswer,
        problems=(403, 409, 507),
        needs_index=True,
    ),
    Route(
        method="POST",
        path="/get",
        handler=get,
        summary="Entries of the index by their keys",
        takes=KeysRequest,
        answers=list[EntryAnswer | None],
        needs_index=True,
    ),
    Route(
        method="GET",
        path="/count",
        handler=count,
        summary="How many entries the index has",
        answers=CountAnswer,
        needs_index=True,
    ),
)
