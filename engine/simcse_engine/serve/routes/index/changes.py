"""Changes of an index, which are on the disk when they are answered."""

import msgspec

from ....prompts import DOCUMENT
from ...http.messages import Request, Response
from ...service import Service
from ...shared_index import NewEntries
from ..checks import Texts, texts_of
from ..route import Route
from .access import writable
from .members import DistinctKeys, Key, Keys, Metadata, Where


class AddRequest(msgspec.Struct, frozen=True):
    """Texts to add, each with a key of its own, or with automatic ones; perhaps with metadata.

    An entry with the same key is replaced. Keys are of the kind that the index was made with: whole numbers from 0 to
    2**64 - 2, strings (of which none is automatic), or UUIDs. Numbers above 2**53 JavaScript reads inexactly.
    """

    texts: Texts
    keys: DistinctKeys | None = None
    metadata: Metadata | None = None
    truncate: bool | None = None


class AddAnswer(msgspec.Struct, frozen=True):
    """The keys of the texts, which are on the disk now."""

    keys: list[Key]


class UpdateRequest(msgspec.Struct, frozen=True):
    """Other metadata for entries, null for none; their texts and vectors stay.

    ``merge`` keeps the fields that an object does not name; null keeps them all.
    """

    keys: DistinctKeys
    metadata: Metadata
    merge: bool = False


class UpdateAnswer(msgspec.Struct, frozen=True):
    """How many entries had other metadata before."""

    updated: int


class RemoveRequest(msgspec.Struct, frozen=True):
    """Which entries to remove: those under ``keys``, or those whose metadata meet ``where``, all of them for {}."""

    keys: Keys | None = None
    where: Where | None = None


class RemoveAnswer(msgspec.Struct, frozen=True):
    """How many entries there were, which are gone now."""

    removed: int


async def add(service: Service, request: Request, body: AddRequest) -> Response:
    """Add texts; they are on the disk when this answers."""
    index = writable(service)
    entries = await index.checked(NewEntries(texts=texts_of(body.texts), keys=body.keys, metadata=body.metadata))
    encoded = await service.encode(request, entries.texts, body.truncate, param="texts", kind=DOCUMENT)
    return Response.json(AddAnswer(await index.add(entries, encoded.vectors)))


async def update(service: Service, request: Request, body: UpdateRequest) -> Response:  # noqa: ARG001
    """Give entries other metadata, all at once. A key without an entry is refused, and nothing is changed."""
    changed = await writable(service).write(lambda index: index.update(body.keys, body.metadata, merge=body.merge))
    return Response.json(UpdateAnswer(changed))


async def remove(service: Service, request: Request, body: RemoveRequest) -> Response:  # noqa: ARG001
    """Remove entries, all at once; keys without one are ignored."""
    removed = await writable(service).write(lambda index: index.remove(body.keys, where=body.where))
    return Response.json(RemoveAnswer(removed))


ROUTES = (
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
        path="/update",
        handler=update,
        summary="Give entries of the index other metadata",
        takes=UpdateRequest,
        answers=UpdateAnswer,
        problems=(403, 409, 507),
        needs_index=True,
    ),
    Route(
        method="POST",
        path="/remove",
        handler=remove,
        summary="Remove entries from the index, by keys or by a filter",
        takes=RemoveRequest,
        answers=RemoveAnswer,
        problems=(403, 409, 507),
        needs_index=True,
    ),
)
