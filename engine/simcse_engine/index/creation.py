"""An empty index's folder."""

import os
import secrets
from pathlib import Path

from ..encoder import Encoder
from ..errors import InputTypeError, InputValueError
from ..files.atomic import whole_folder
from .ann.scheme import CANDIDATES_PER_HIT
from .binding import Artifact, facts_of
from .storage.records import About
from .storage.store import create_store
from .storage.vectors import create_vector_file, vector_file_name


def create_index(folder: Path, artifact: Artifact, dtype: str) -> None:
    """Make the folder of an empty index; `Index.create` says more."""
    if dtype not in CANDIDATES_PER_HIT:
        raise InputValueError(f"dtype={dtype!r}: choose {', '.join(map(repr, CANDIDATES_PER_HIT))}")
    location, manifest = facts_of(artifact)
    if isinstance(artifact, Encoder) and artifact.max_tokens != manifest.max_tokens:
        raise InputValueError(
            f"this encoder cuts at {artifact.max_tokens} tokens, its artifact at {manifest.max_tokens}, as an "
            "index does; give one without max_tokens"
        )
    about = About(
        name=secrets.token_hex(16),
        artifact=location,
        identity=manifest.identity,
        model=manifest.model,
        dimension=manifest.dimension,
        max_tokens=manifest.max_tokens,
        dtype=dtype,
    )
    with whole_folder(folder) as staging:
        path, name = staging / vector_file_name(1), bytes.fromhex(about.name)
        create_vector_file(path, dimension=about.dimension, generation=1, name=name)
        create_store(staging, about, generation=1)


def checked_folder(folder: object) -> Path:
    """An index's folder as an absolute path."""
    if not isinstance(folder, str | os.PathLike):
        raise InputTypeError(f"an index is named by a path, not by {type(folder).__name__}")
    name = os.fspath(folder)
    if not isinstance(name, str) or "\0" in name:
        raise InputValueError(f"{name!r:.80} is no path")
    return Path(name).expanduser().absolute()
