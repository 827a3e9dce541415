"""What the command line prints for people: an artifact's facts, parity figures, a table of cosines."""

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.manifest import Manifest
from ..measure.parity import Limit, Parity

_SENTENCE_WIDTH = 72


def escape_unprintable() -> None:
    """Let stdout write what its encoding lacks as escapes: a sentence in another script shall not end a command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def cosines(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosines of every pair of rows, [n, n]; the rows need not be unit vectors, and a zero row has cosine 0 to all."""
    exact = vectors.astype(np.float64)
    norms = np.linalg.norm(exact, axis=1, keepdims=True)
    unit = exact / np.where(norms == 0, 1, norms)
    products: NDArray[np.float64] = unit @ unit.T
    return products


def cosine_table(sentences: Sequence[str], values: NDArray[np.float64]) -> str:
    """A row and a column a sentence, both numbered, and the sentences at the rows' ends."""
    # Nine columns of digits and a sentence fit a terminal; sentences come last since their width is anyone's guess.
    heads = "".join(f"{number:>9}" for number in range(1, len(sentences) + 1))
    rows = [f"{'':4}{heads}"]
    for number, (sentence, row) in enumerate(zip(sentences, values, strict=True), 1):
        rows.append(f"{number:>4}{''.join(f'{value:>9.4f}' for value in row)}  {_shortened(sentence)}")
    return "\n".join(rows)


def _shortened(sentence: str) -> str:
    line = " ".join(sentence.split())
    return line if len(line) <= _SENTENCE_WIDTH else line[: _SENTENCE_WIDTH - 1] + "…"


def manifest_lines(folder: Path, manifest: Manifest) -> str:
    """All that matters of a manifest, a fact a line."""
    m = manifest
    total = sum(entry.size_bytes for entry in m.files.values())
    facts = {
        "checkpoint": m.source.id + (f" at {m.source.revision}" if m.source.revision else ""),
        "architecture": _listed(m.architecture),
        "pooler": m.pooler,
        "vectors": f"{m.dimension} floats, {'unit length' if m.normalized else 'not normalized'}",
        "max tokens": str(m.max_tokens),
        "precision": f"{m.precision} for {m.target}",
        **({"engines": _engines(m)} if m.max_batch else {}),
        "parity": _parity(m),
        **({"quality": quality_line(m.quality)} if m.quality else {}),
        "identity": m.identity,
        "model": m.model,
        "made with": _listed(m.versions),
        "size": _size(total),
    }
    files = {f"  {name}": _size(entry.size_bytes) for name, entry in m.files.items()}
    return "\n".join([str(folder), *(f"  {name:<18} {value}" for name, value in {**facts, **files}.items())])


def _engines(manifest: Manifest) -> str:
    found = [
        f"compute capability {name} by {engine.builder}" + (f" on {engine.gpu}" if engine.gpu else "")
        for name, engine in manifest.engines.items()
    ]
    return f"{', '.join(found) or 'none yet: simcse-engine compile'}; at most {manifest.max_batch} sentences a run"


def _parity(manifest: Manifest) -> str:
    state = "verified" if manifest.verified else "not verified on its target"
    return f"{state}; {_listed(manifest.parity)}" if manifest.parity else state


def quality_line(found: Mapping[str, Any]) -> str:
    """What the manifest's ``quality`` says: cosines to float32 where there are any, and the averages over STS tasks."""
    said = []
    if "mean_cosine" in found:
        said.append(f"cosine to fp32 {found['mean_cosine']:.4f} on average, {found['min_cosine']:.4f} at least")
    if "sts" in found:
        before = f", fp32 {found['sts_fp32']['average']:.2f}" if "sts_fp32" in found else ""
        tasks = len(found["sts"]["tasks"])
        said.append(f"STS Spearman {found['sts']['average']:.2f}{before} (average of {tasks} tasks)")
    return "; ".join(said)


def _listed(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in facts.items())


def _value(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _size(size_bytes: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} bytes"


def parity_lines(parity: Parity, limit: Limit) -> str:
    """The figures of a passed verification beside what was allowed."""
    return "\n".join(
        [
            f"agrees with the reference model on {parity.vectors} vectors:",
            f"  max abs difference  {parity.max_abs_difference:.2e}    (limit {limit.max_abs_difference:g})",
            f"  min cosine          {parity.min_cosine:.8f}  (limit {limit.min_cosine:g})",
            f"  mean cosine         {parity.mean_cosine:.8f}",
            f"  max norm error      {parity.max_norm_error:.2e}",
        ]
    )
