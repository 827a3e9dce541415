"""What does one long text cost: seconds, memory, and how long no other thread moves? In pieces, and whole.

"whole" is one call of the library that tokenizes all of the text and cuts it then. Each text is tokenized in a process
of its own, beside a thread that wakes every half millisecond. The first tokenizer is the real MiniLM's; the others are
trained on the sentences here.
"""

import multiprocessing
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing

from simcse_engine.artifact.manifest import TOKENIZER
from simcse_engine.tokenizer import Tokenizer

from ..inputs import MINILM, sentences
from ..record import write_result
from ..turns import no_options

CHARS, MAX_TOKENS = 1_000_000, 128
UNITS = {
    **{"CJK": "漢", "one letter": "a", "words": "a man plays ", "newlines": "\n", "commas": ","},
    **{"no-break spaces": "\u00a0", "base64": "Qx7/zJ+kP0aYt5", "Thai": "สวัสดีครับ", "Devanagari": "क्षि"},
    **{"accents": "\u0301", "emoji": "👩\u200d👩\u200d👧", "special tokens": "[SEP]"},
}
SPECIAL = ["<s>", "</s>", "<unk>"]
# How often each is run. The least counts, as other work of the machine only adds.
ROUNDS = {"whole": 1, "pieces": 3}


def main() -> None:
    no_options(__doc__)
    texts = sentences()
    with tempfile.TemporaryDirectory() as folder:
        paths = {"WordPiece": MINILM.checkpoint() / TOKENIZER, **trained(Path(folder), texts.texts)}
        costs = {name: {unit: _costs(path, unit) for unit in UNITS} for name, path in paths.items()}
    question = f"what a text of {CHARS:,} characters costs with max_tokens={MAX_TOKENS}, in pieces and whole"
    write_result("long_texts", {"question": question, "sentences": texts.source}, {"costs": costs})


def trained(folder: Path, texts: Sequence[str]) -> dict[str, Path]:
    """Tokenizers of the kinds that RoBERTa and XLM-RoBERTa have, and Llama's with a pre-tokenizer."""
    metaspace, alphabet = pre_tokenizers.Metaspace(), pre_tokenizers.ByteLevel.alphabet()
    options: dict[str, Any] = {"vocab_size": 8000, "special_tokens": SPECIAL, "show_progress": False}
    byte_level = tokenizers.Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.train_from_iterator(texts, trainers.BpeTrainer(initial_alphabet=alphabet, **options))
    bpe = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    bpe.pre_tokenizer = metaspace
    bpe.train_from_iterator(texts, trainers.BpeTrainer(**options))
    unigram = tokenizers.Tokenizer(models.Unigram())
    unigram.normalizer, unigram.pre_tokenizer = normalizers.NFKC(), metaspace
    unigram.train_from_iterator(texts, trainers.UnigramTrainer(unk_token="<unk>", **options))
    paths = {}
    for name, tokenizer in {"byte-level BPE": byte_level, "BPE": bpe, "Unigram": unigram}.items():
        frame = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
        tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=frame)
        paths[name] = folder / f"{name}.json"
        tokenizer.save(str(paths[name]))
    return paths


def _costs(path: Path, unit: str) -> dict[str, Any]:
    print(path.stem, unit, flush=True)
    costs, ids = {}, []
    for way, rounds in ROUNDS.items():
        runs = []
        for _ in range(rounds):
            # A fresh process for each, as its peak of memory counts.
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
                run = process.submit(_cost, path, way, UNITS[unit]).result()
            ids.append(run.pop("ids"))
            runs.append(run)
        costs[way] = {figure: min(run[figure] for run in runs) for figure in runs[0]}
    if any(each != ids[0] for each in ids):
        raise RuntimeError(f"{path}, {unit}: other ids in pieces than whole")
    return costs


def _cost(path: Path, way: str, unit: str) -> dict[str, Any]:
    encode = {"whole": _whole, "pieces": _in_pieces}[way](path)
    encode("Warm up.")
    text = unit * (CHARS // len(unit))
    sys.setswitchinterval(0.0005)
    stalls, ended = [0.0], threading.Event()

    def tick() -> None:
        last = time.perf_counter()
        while not ended.wait(0.0005):
            now = time.perf_counter()
            stalls.append(now - last)
            last = now

    thread = threading.Thread(target=tick)
    thread.start()
    before, start = _peak_mb(), time.perf_counter()
    ids = encode(text)
    seconds, after = time.perf_counter() - start, _peak_mb()
    time.sleep(0.002)
    ended.set()
    thread.join()
    return {"seconds": seconds, "mb": after - before, "longest_stall_ms": max(stalls) * 1e3, "ids": ids}


def _whole(path: Path) -> Callable[[str], list[int]]:
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return lambda text: tokenizer.encode(text).ids


def _in_pieces(path: Path) -> Callable[[str], list[int]]:
    tokenizer = Tokenizer(path, MAX_TOKENS)
    return lambda text: tokenizer.encode([text]).ids[0]


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


if __name__ == "__main__":
    main()
