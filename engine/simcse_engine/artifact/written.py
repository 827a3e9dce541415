"""The manifest's file: its name, its formats, the digest over it, and how it is read."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ..errors import ArtifactNotFoundError, FormatVersionError, IntegrityError
from .checkpoints import is_checkpoint, not_exported

# The first of these is written where its engines read an artifact rightly; they know fewer kinds, and no prompts.
FORMATS = (3, 4)
MANIFEST = "manifest.json"


def written_content(folder: Path) -> dict[str, Any]:
    """What the folder's manifest says: of a format that this engine reads, and as it was written.

    Raises:
        ArtifactNotFoundError, FormatVersionError, IntegrityError: as `Manifest.read`.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        problem = "is a file, not an artifact's folder" if folder.exists() else "does not exist"
        raise ArtifactNotFoundError(f"{folder}: {problem}; simcse-export CHECKPOINT -o ARTIFACT makes one")
    if not path.is_file():
        if is_checkpoint(folder):
            raise not_exported(str(folder), folder)
        raise ArtifactNotFoundError(f"{folder}: no {MANIFEST} in it, so it is no artifact")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path}: is not JSON ({error}); export again") from error
    if not isinstance(content, dict) or type(content.get("format")) is not int:
        raise IntegrityError(f"{path}: states no format; export again")
    if content["format"] not in FORMATS:
        advice = "upgrade simcse-engine" if content["format"] > FORMATS[-1] else "export again"
        raise FormatVersionError(
            f"{path}: format {content['format']!r:.20}, this engine reads formats {FORMATS[0]} to {FORMATS[-1]}; "
            f"{advice}"
        )
    try:
        edited = content.pop("digest", None) != digest(content)
    except RecursionError:  # nested as deep as the reader just manages
        edited = True
    if edited:
        raise IntegrityError(f"{path}: was edited after export (its digest does not match); export again")
    return content


def digest(content: Any) -> str:
    """The hex digest of plain values, whatever the order of their names."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # surrogatepass: an edited manifest may hold what is no Unicode; its digest must fail, not this line.
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
