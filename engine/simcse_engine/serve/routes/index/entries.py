"""Entries of an index, read: by keys, page by page, and counted."""

import itertools
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from ....index import Entry, Index
from ...http.arrays import listed
from ...http.messages import Request, Response
from ...service import Service
from ..route import Route
from .access import shared
from .answers import EntryAnswer, Written
from .members import MAX_KEYS, Key, Keys, VectorMembers, Where

# Entries may be long, and an answer has room for so many bytes. So few are read at first, and as many again each time.
_READ_FIRST = 16


class GetRequest(VectorMembers, frozen=True, kw_only=True):
    """Keys of entries, and whether these come with their ``vectors``.

    The vectors have unit length. ``encoding_format``: "float", by default, or "base64". ``dimensions`` and ``dtype`` as
    in a request to /embed.
    """

    keys: Keys


class ListRequest(VectorMembers, frozen=True):
    """A page of entries: up to ``limit`` that meet ``where``, behind the key ``after``, which is null for the first.

    ``vectors`` and their form are as in a request to /get.
    """

    where: Where | None = None
    after: Key | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_KEYS)] = 100


class ListAnswer(msgspec.Struct, frozen=True):
    """Entries, and what ``after`` is in the request for the next page: null when there is none."""

    entries: list[EntryAnswer]
    after: Key | None


class CountRequest(msgspec.Struct, frozen=True):
    """Which entries to count: those whose metadata meet ``where``; null for all."""

    where: Where | None = None


class CountAnswer(msgspec.Struct, frozen=True):
    """How many entries there are."""

    count: int


async def get(service: Service, request: Request, body: GetRequest) -> Response:  # noqa: ARG001
    """The entries under these keys, null where there is none."""
    write = body.writer(service)

    def found(index: Index) -> bytes:
        written = Written()
        entries = index.get(body.keys, vectors=True) if body.vectors else index.get(body.keys)
        return listed([b"null" if each is None else written.checked(write(each), param="keys") for each in entries])

    return Response(await shared(service).read(found))


async def list_entries(service: Service, request: Request, body: ListRequest) -> Response:  # noqa: ARG001
    """A page of entries, in the order of their keys; it ends early where its bytes would be too many.

    Nothing is held from one page to the next. What is there all the while is on one of them.
    """
    write = body.writer(service)

    def found(index: Index) -> bytes:
        written, after = Written(), body.after
        entries: list[bytes] = []
        while len(entries) < body.limit:
            wanted = min(max(_READ_FIRST, len(entries)), body.limit - len(entries))
            page = _page(index, body, wanted, after)
            fitting = list(itertools.takewhile(written.fits, map(write, page)))
            entries += fitting
            if len(fitting) == len(page) < wanted:
                after = None
                break
            # A full answer may be the last, before an empty one.
            after = _key(page[len(fitting) - 1]) if fitting else after
            if len(fitting) < len(page):
                break
        return listed(entries, b'{"entries":', b',"after":%b}' % msgspec.json.encode(after))

    return Response(await shared(service).read(found))


def _page(index: Index, body: ListRequest, count: int, after: Any) -> Sequence[Any]:
    if body.vectors:
        return index.page(count, after=after, where=body.where, vectors=True)
    return index.page(count, after=after, where=body.where)


def _key(entry: Any) -> Any:
    """The key of an entry, or of one with its vector."""
    return entry.key if isinstance(entry, Entry) else entry[0].key


async def count(service: Service, request: Request, body: CountRequest | None) -> Response:  # noqa: ARG001
    """How many entries there are, or meet a filter."""
    where = None if body is None else body.where
    return Response.json(CountAnswer(await shared(service).read(lambda index: index.count(where))))


ROUTES = (
    Route(
        method="POST",
        path="/get",
        handler=get,
        summary="Entries of the index by their keys",
        takes=GetRequest,
        answers=list[EntryAnswer | None],
        needs_index=True,
    ),
    Route(
        method="POST",
        path="/list",
        handler=list_entries,
        summary="Entries of the index page by page, all of them or those that meet a filter",
        takes=ListRequest,
        answers=ListAnswer,
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
    Route(
        method="POST",
        path="/count",
        handler=count,
        summary="How many entries of the index meet a filter",
        takes=CountRequest,
        answers=CountAnswer,
        needs_index=True,
    ),
)
