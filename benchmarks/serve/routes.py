"""Requests to the services, and the vectors in their answers."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

# How a service takes texts and gives vectors.
Form = Literal["embed", "embed npy", "openai", "openai base64"]
NPY = "application/x-npy"


@dataclass(frozen=True, kw_only=True)
class Route:
    """A service's route for texts."""

    path: str
    form: Form

    @property
    def accept(self) -> str:
        """The header of this name."""
        return NPY if self.form == "embed npy" else "application/json"

    def body(self, texts: Sequence[str]) -> bytes:
        """The body that asks for these texts' vectors: one line."""
        content: dict[str, Any] = {"inputs": texts}
        if self.form.startswith("openai"):
            content = {"model": "model", "input": texts}
        if self.form == "openai base64":
            content["encoding_format"] = "base64"
        return json.dumps(content).encode()

    def request(self, texts: Sequence[str]) -> bytes:
        """The whole request, as it goes over a connection that stays open."""
        return message(self.path, self.body(texts), accept=self.accept)

    def vectors(self, body: bytes) -> NDArray[np.float32]:
        """The vectors of an answer's body, float32 [texts, dimension]."""
        if self.form == "embed npy":
            return np.load(io.BytesIO(body))
        answer = json.loads(body)
        if self.form == "embed":
            return np.array(answer, np.float32)
        each = [item["embedding"] for item in answer["data"]]
        if self.form == "openai":
            return np.array(each, np.float32)
        return np.array([np.frombuffer(base64.b64decode(one), "<f4") for one in each])


EMBED = Route(path="/embed", form="embed")
EMBED_NPY = Route(path="/embed", form="embed npy")
OPENAI = Route(path="/v1/embeddings", form="openai")
OPENAI_BASE64 = Route(path="/v1/embeddings", form="openai base64")
OURS = {
    "/embed, JSON": EMBED,
    "/embed, npy": EMBED_NPY,
    "/v1/embeddings, floats": OPENAI,
    "/v1/embeddings, base64": OPENAI_BASE64,
}


def message(path: str, body: bytes, *, accept: str = "application/json") -> bytes:
    """A request's bytes."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: {accept}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
