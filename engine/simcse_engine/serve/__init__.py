"""HTTP: an artifact, and an index if there is one, behind OpenAI's and text-embeddings-inference's routes.

`app` is an ASGI application for any server; `server/` runs it under uvicorn, as ``simcse-engine serve`` does.

`application.py`: ASGI → a route → an answer; `http/`: requests, answers and errors; `routes/`: a file or folder for
each family of them, and `table.py` with all; `page/`: what people see at `/`; `service.py`: what the routes share, and
the one way in which they encode; `shared_index.py`: an index that many requests use at once; `options.py`: limits and
names; `warm.py`: the first runs; `account.py`: what is counted, logged and told of each request, by `metrics.py` and
`logs.py`; `openapi.py`: the document of all routes; `extra.py`: what must be installed.
"""

from .extra import missing

try:
    from .application import app
    from .options import ServeOptions
except ModuleNotFoundError as error:
    raise missing(error) from error

__all__ = ["ServeOptions", "app"]
