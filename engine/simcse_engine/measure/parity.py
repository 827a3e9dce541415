"""Parity: how closely an artifact's vectors agree with the reference model's, on the texts kept in the artifact.

Export writes ``check.npz`` with about 40 texts and the vectors that transformers' forward pass gives them, and
publishes nothing that disagrees; `verify` repeats the comparison on any machine, without torch.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..artifact.manifest import CHECK, Manifest
from ..artifact.written import MANIFEST
from ..errors import IntegrityError, ParityError
from ..files.atomic import whole_file

if TYPE_CHECKING:
    from ..encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How far vectors of a precision may be from the reference model's.

    Attributes:
        max_abs_difference: largest difference of two components of the unit vectors.
        min_cosine: smallest cosine between a text's vector and its reference.
        max_norm_error: largest relative error of a vector's length, where the graph does not normalize; of the size of
            the components' own.
    """

    max_abs_difference: float
    min_cosine: float
    max_norm_error: float


# Export measures the quality of cheaper precisions (`Manifest.quality`). int8's limit here only finds what is broken,
# such as a CPU that sums wrongly, on odd texts.
LIMITS = {
    "fp32": Limit(max_abs_difference=2e-6, min_cosine=0.999999, max_norm_error=1e-4),
    "fp16": Limit(max_abs_difference=5e-3, min_cosine=0.9999, max_norm_error=5e-3),
    "bf16": Limit(max_abs_difference=2e-2, min_cosine=0.999, max_norm_error=2e-2),
    "int8": Limit(max_abs_difference=0.1, min_cosine=0.97, max_norm_error=0.2),
}

# Parts of a tail that may enlarge what float32 rounds, on either side, and the limit behind them: a whitening divides
# by small deviations, and a vector near the corpus's mean is enlarged to length 1.
_ENLARGING = ("whitening", "head")
_ENLARGED = 2e-5


def limit_of(precision: str, architecture: Mapping[str, Any]) -> Limit:
    """The limit for vectors of a model of this ``architecture``, as `Manifest` has it.

    Raises:
        ParityError: the precision is a newer engine's.
    """
    limit = LIMITS.get(precision)
    if limit is None:
        raise ParityError(f"this engine knows no limit for precision {precision!r}; upgrade simcse-engine")
    if any(part["kind"] in _ENLARGING for part in architecture.get("tail", ())):
        return replace(limit, max_abs_difference=max(limit.max_abs_difference, _ENLARGED))
    return limit


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Measured agreement; differences are of unit vectors, whether or not the artifact normalizes.

    Attributes:
        vectors: number of vectors compared: of each text alone, and of each in one batch with the others.
        max_abs_difference: of any two components.
        min_cosine, mean_cosine: over the vectors.
        max_norm_error: of the vectors' lengths, relative to the reference's.
    """

    vectors: int
    max_abs_difference: float
    min_cosine: float
    mean_cosine: float
    max_norm_error: float

    def to_json(self) -> dict[str, float]:
        """The figures, for the manifest and for `--json`."""
        return asdict(self)

    def require(self, precision: str, architecture: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Raise ParityError if a figure exceeds the limit, see `limit_of`; the message has both."""
        limit = limit_of(precision, architecture)
        faults = []
        # With "not", so that a NaN is a fault.
        if not self.max_abs_difference <= limit.max_abs_difference:
            faults.append(f"max abs difference {self.max_abs_difference:.3g} > {limit.max_abs_difference:g}")
        if not self.min_cosine >= limit.min_cosine:
            faults.append(f"cosine {self.min_cosine:.7f} < {limit.min_cosine}")
        if not self.max_norm_error <= limit.max_norm_error:
            faults.append(f"relative error of a vector's length {self.max_norm_error:.3g} > {limit.max_norm_error:g}")
        if faults:
            raise ParityError(f"vectors differ from the reference model's: {', '.join(faults)} ({precision})")


def compare(vectors: NDArray[np.float32], reference: NDArray[np.float32]) -> Parity:
    """Compare two float32 [texts, dimension] arrays row by row, in float64."""
    ours, theirs = vectors.astype(np.float64), reference.astype(np.float64)
    our_norms, their_norms = np.linalg.norm(ours, axis=1), np.linalg.norm(theirs, axis=1)
    # A vector of length 0 becomes NaN, which `Parity.require` refuses.
    with np.errstate(invalid="ignore", divide="ignore"):
        ours /= our_norms[:, None]
        theirs /= their_norms[:, None]
        norm_errors = np.abs(our_norms / their_norms - 1)
    cosines = np.sum(ours * theirs, axis=1)
    return Parity(
        vectors=len(vectors),
        max_abs_difference=float(np.max(np.abs(ours - theirs))),
        min_cosine=float(cosines.min()),
        mean_cosine=float(cosines.mean()),
        max_norm_error=float(np.max(norm_errors)),
    )


def worst(measured: Sequence[Parity]) -> Parity:
    """The worst figures of several measurements of the same vectors."""
    return Parity(
        vectors=max(each.vectors for each in measured),
        max_abs_difference=max(each.max_abs_difference for each in measured),
        min_cosine=min(each.min_cosine for each in measured),
        mean_cosine=min(each.mean_cosine for each in measured),
        max_norm_error=max(each.max_norm_error for each in measured),
    )


def save_check(folder: Path, texts: list[str], vectors: NDArray[np.float32]) -> None:
    """Write ``check.npz`` into ``folder``.

    The texts are kept as UTF-8 JSON, since NumPy's string arrays would drop a text's trailing NULs.
    """
    encoded = np.frombuffer(json.dumps(texts, ensure_ascii=False).encode(), np.uint8)
    np.savez_compressed(folder / CHECK, texts=encoded, vectors=vectors)


def load_check(folder: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Read ``check.npz``: texts, and the reference model's float32 [texts, dimension]."""
    try:
        with (folder / CHECK).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            texts: list[str] = json.loads(arrays["texts"].tobytes())
            vectors: NDArray[np.float32] = arrays["vectors"]
        "".join(texts).encode()  # raises for what are no texts, or no Unicode
        if not isinstance(texts, list) or vectors.dtype != np.float32 or vectors.ndim != 2:
            raise ValueError(f"vectors of {vectors.dtype} {vectors.shape}, or no list of texts")
    except Exception as error:  # zipfile, zlib and NumPy each raise their own
        raise IntegrityError(f"{folder / CHECK}: cannot be read ({error}); export again") from error
    return texts, vectors


def record(folder: Path, manifest: Manifest, parity: Parity) -> Manifest:
    """Record in the manifest in ``folder`` that the artifact was verified on its device."""
    verified = replace(manifest, parity=parity.to_json(), verified=True)
    with whole_file(folder / MANIFEST) as staged:
        verified.write_to(staged)
    return verified


def verify(encoder: "Encoder", folder: Path, progress: Callable[[int], object] = lambda _: None) -> Parity:
    """Encode the artifact's check texts with ``encoder`` and require the precision's parity.

    The texts run both in one call and one by one, so that both of the encoder's ways to run are compared. ``progress``
    is called with a number of vectors whenever so many more are there.
    """
    texts, reference = load_check(folder)
    if not texts or reference.shape != (len(texts), encoder.dimension):
        raise IntegrityError(
            f"{folder / CHECK}: {len(texts)} texts and vectors of shape {reference.shape}, where this artifact's "
            f"have {encoder.dimension} floats; export again"
        )
    vectors = [encoder.encode(texts, prompt="", truncate="silent")]
    progress(len(texts))
    for text in texts:
        vectors.append(encoder.encode([text], prompt="", truncate="silent"))
        progress(1)
    parity = compare(np.concatenate(vectors), np.concatenate([reference, reference]))
    parity.require(encoder.manifest.precision, encoder.manifest.architecture)
    return parity
