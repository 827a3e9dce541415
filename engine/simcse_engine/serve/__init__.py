"""HTTP: an artifact, and an index if there is one, behind OpenAI's and text-embeddings-inference's routes.

`app` is an ASGI application for any server; `server.py` runs it under uvicorn, as ``simcse-engine serve`` does, at an
`address.py`, with `protocol.py`'s patience for slow clients.

`options.py`: limits and names; `service.py`: what all routes share; `application.py`: ASGI → a route → an answer, by
`http.py` (requests, responses) and `problems.py` (errors), while `watch.py` looks after those under way; `routes/`: a
file for each family of them, and `table.py` with all; `page/`: what people see at `/`; `arrays.py`: vectors as JSON,
base64 and npy; `accept.py`: which of them a client prefers; `shared_index.py`: an index that many requests use at once;
`metrics.py`, `logs.py`, `openapi.py`: what operators read; `extra.py`: what must be installed.
"""

from .extra import missing

try:
    from .application import app
    from .options import ServeOptions
except ModuleNotFoundError as error:
    raise missing(error) from error

__all__ = ["ServeOptions", "app"]
