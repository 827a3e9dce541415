"""A service with FastAPI and sentence-transformers, as many people write it. It runs in an environment of its own.

`/embed` runs in FastAPI's pool of threads, and `/embed-in-turn` lets one request encode at a time.
"""

import asyncio
import os

from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer

model = SentenceTransformer(os.environ["MODEL"], device="cpu", local_files_only=True)
app = FastAPI()
turn = asyncio.Lock()


class Texts(BaseModel):
    """A request's body."""

    inputs: list[str]


@app.post("/embed")
def embed(texts: Texts):
    return model.encode(texts.inputs).tolist()


@app.post("/embed-in-turn")
async def embed_in_turn(texts: Texts):
    async with turn:
        vectors = await asyncio.to_thread(model.encode, texts.inputs)
    return vectors.tolist()


@app.get("/health")
def health():
    return {}
