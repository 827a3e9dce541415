"""A checkpoint's JSON files, read or refused by name."""

import json
import reprlib
from pathlib import Path
from typing import Any

from simcse_engine.errors import CheckpointError

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def read_json(path: Path, kind: type = dict) -> Any:
    """The content of a JSON file, a `kind`; a CheckpointError that names the file where it is anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: missing") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, kind):
        raise CheckpointError(f"{path}: expected a JSON {kind.__name__}, got {type(content).__name__}")
    return content


def shown(value: Any) -> str:
    """A file's value for a message, short however long or deep it is."""
    return _SHORT.repr(value)
