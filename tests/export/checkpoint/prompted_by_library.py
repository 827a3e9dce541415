"""Run beside sentence-transformers: saves folders with prompts, and encodes texts behind them in every way.

Usage: python prompted_by_library.py BERT ROBERTA FOLDERS VECTORS TEXTS WAYS. The first two are checkpoints to save;
TEXTS is a JSON list, and WAYS a JSON object of calls: method and keyword arguments by name. Each folder's vectors are
an .npz file in VECTORS, and bits.npz has numbers with the bits that the library makes of them; it prints JSON: the
prompts of each folder, as the library has them once it has loaded it.
"""

import json
import logging
import sys
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer, quantize_embeddings
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from transformers.utils.logging import disable_progress_bar

BERT, ROBERTA, FOLDERS, VECTORS = map(Path, sys.argv[1:5])
TEXTS, WAYS = map(json.loads, sys.argv[5:7])
PROMPTS = {
    # Spaces and newlines around prompts count where the tokenizer heeds them.
    "plain": {"query": "the cat: ", "passage": " the dog:\n", "empty": ""},
    "documents": {"document": "a man", "passage": "never: "},
    "none": {},
}
DEFAULTS = {"plain": "passage", "documents": None, "none": "query"}


def save(name: str, base: Path, mode: str, *, include_prompt: bool = True) -> dict[str, object]:
    kind = name.split()[-1]
    modules = [Transformer(str(base), max_seq_length=24), Pooling(32, mode, include_prompt=include_prompt), Normalize()]
    model = SentenceTransformer(
        modules=modules, device="cpu", prompts=PROMPTS[kind], default_prompt_name=DEFAULTS[kind]
    )
    model.save(str(FOLDERS / name), create_model_card=False)
    model = SentenceTransformer(str(FOLDERS / name), device="cpu")
    vectors = {}
    for way, (method, options) in WAYS.items():
        if options.get("prompt_name", "query") in model.prompts:
            vectors[way] = getattr(model, method)(TEXTS, batch_size=1, **options)
    np.savez(VECTORS / f"{name}.npz", **vectors)
    return {"prompts": model.prompts, "default_prompt_name": model.default_prompt_name}


disable_progress_bar()
# It warns of default prompts, and of a prompt beside a name.
logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
torch.set_num_threads(1)
numbers = np.random.default_rng(0).standard_normal((9, 32)).astype(np.float32)
bits = {precision: quantize_embeddings(numbers, precision) for precision in ("binary", "ubinary")}
np.savez(VECTORS / "bits.npz", numbers=numbers, **bits)
print(
    json.dumps(
        {
            f"{family} {kind}": save(f"{family} {kind}", base, mode)
            for family, base, mode in (("bert", BERT, "mean"), ("roberta", ROBERTA, "cls"))
            for kind in PROMPTS
        }
        | {
            f"bert {mode} left out plain": save(f"bert {mode} left out plain", BERT, mode, include_prompt=False)
            for mode in Pooling.POOLING_MODES
        }
    )
)
