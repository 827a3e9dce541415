"""What the padded layout costs beside the usual one in seconds a call, and how far its vectors depend on their batch.

The padded graph runs as in other programs: the runtime's own settings, texts tokenized and padded together as they
come. Beside it the usual artifact in `Encoder`, in our kernels and without them. All use every CPU.
"""

import random
from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime
import tokenizers
from numpy.typing import NDArray

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import GRAPH, TOKENIZER, Manifest
from simcse_engine.machine.cpu import usable_cpus
from simcse_engine.session.kernels import without_kernels

from ..inputs import MINILM, sentences
from ..record import write_result
from ..statistics import over, spreads
from ..turns import alternate, no_options, timed

PRECISIONS = ("fp32", "int8")
CALLS = {1: 200, 8: 60, 32: 20, 256: 5}
# For the largest difference: each alone, and among so many others.
SENTENCES, AMONG = 256, (2, 8, 32, 256)

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


def main() -> None:
    no_options(__doc__)
    texts = sentences()
    figures = {precision: compare(precision, texts.texts) for precision in PRECISIONS}
    about = {
        "question": "seconds of a call on texts of mixed lengths, by how many there are; MiniLM",
        "sentences": texts.source,
    }
    write_result("padded", about, figures)


def compare(precision: str, texts: list[str]) -> dict:
    padded = padded_encoder(precision)
    chosen = random.Random(3)
    figures = {}
    with Encoder(MINILM.artifact(precision)) as kernels, without_kernels(), Encoder(MINILM.artifact(precision)) as none:
        ways = {"usual": kernels.encode, "usual_without_kernels": none.encode, "padded": padded}
        for count, calls in CALLS.items():
            rounds = [chosen.sample(texts, count) for _ in range(calls)]
            seconds = alternate({name: timed(way) for name, way in ways.items()}, rounds)
            figures[f"of_{count}"] = {"seconds": spreads(seconds), "over_usual": over(seconds, "usual")}
    return {**figures, "largest_difference_by_batch": drift(padded, chosen.sample(texts, SENTENCES))}


def drift(encode: Encode, texts: list[str]) -> dict[str, float]:
    """Between vectors alone and in batches: the largest difference of a number, and the least cosine."""
    alone = np.concatenate([encode([text]) for text in texts])
    batches = [
        np.concatenate([encode(texts[start : start + size]) for start in range(0, len(texts), size)]) for size in AMONG
    ]
    changed = np.mean([np.abs(batch - alone).max(axis=1) > 1e-6 for batch in batches])
    return {
        "number": max(float(np.abs(batch - alone).max()) for batch in batches),
        "cosine_distance": max(float(1 - (batch * alone).sum(axis=1).min()) for batch in batches),
        "share_of_vectors_beyond_1e-6": float(changed),
    }


def padded_encoder(precision: str) -> Encode:
    """The padded graph, run as a program does that knows nothing of us."""
    artifact = MINILM.artifact(precision, layout="padded")
    tokenizer = tokenizers.Tokenizer.from_file(str(artifact / TOKENIZER))
    tokenizer.enable_truncation(Manifest.read(artifact).max_tokens)
    tokenizer.enable_padding()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = usable_cpus()
    session = onnxruntime.InferenceSession(artifact / GRAPH, settings, providers=["CPUExecutionProvider"])

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        encodings = tokenizer.encode_batch(list(texts))
        feed = {
            "input_ids": np.array([each.ids for each in encodings], np.int64),
            "attention_mask": np.array([each.attention_mask for each in encodings], np.int64),
        }
        return session.run(None, feed)[0]

    return encode


if __name__ == "__main__":
    main()
