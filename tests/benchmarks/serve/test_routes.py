import base64
import io
import json

import numpy as np
from benchmarks.serve.routes import EMBED, EMBED_NPY, OPENAI, OPENAI_BASE64

VECTORS = np.array([[0.1, -0.25, 1e-8], [3.0, 0.0, 1 / 3]], np.float32)


def test_a_request_is_one_message_and_one_line_of_body() -> None:
    content = EMBED_NPY.request(["Zwei\nZeilen", "ü"])
    head, body = content.split(b"\r\n\r\n")
    assert head.startswith(b"POST /embed HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Accept: application/x-npy" in head
    assert b"\n" not in body
    assert json.loads(body) == {"inputs": ["Zwei\nZeilen", "ü"]}
    assert json.loads(OPENAI_BASE64.body(["a"])) == {"model": "model", "input": ["a"], "encoding_format": "base64"}


def test_every_answer_gives_the_same_vectors_to_the_bit() -> None:
    npy = io.BytesIO()
    np.save(npy, VECTORS)
    numbers = {"data": [{"embedding": vector} for vector in VECTORS.tolist()]}
    texts = {"data": [{"embedding": base64.b64encode(vector.tobytes()).decode()} for vector in VECTORS]}
    answers = {
        EMBED: json.dumps(VECTORS.tolist()).encode(),
        EMBED_NPY: npy.getvalue(),
        OPENAI: json.dumps(numbers).encode(),
        OPENAI_BASE64: json.dumps(texts).encode(),
    }
    for route, body in answers.items():
        vectors = route.vectors(body)
        assert vectors.dtype == np.float32
        assert (vectors == VECTORS).all()
