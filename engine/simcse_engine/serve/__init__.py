"""HTTP: an artifact, and an index if there is one, behind OpenAI's and text-embeddings-inference's routes.

`app` is an ASGI application for any server; `server.py` runs it under uvicorn, as ``simcse-engine serve`` does.

`options.py`: limits and names; `service.py`: what all routes share; `application.py`: ASGI → a route → an answer, by
`http.py` (requests, responses) and `problems.py` (errors); `routes/`: a file for each family of them, and `table.py`
with all; `arrays.py`: vectors as JSON, base64 and npy; `metrics.py`, `logs.py`, `openapi.py`: what operators read.
"""

from .application import app
from .options import ServeOptions

__all__ = ["ServeOptions", "app"]
