"""What a manifest is made of: an artifact's files, the checkpoint it comes from, and its compiled plans."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PIECE_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """What a file of the artifact must be."""

    sha256: str
    size_bytes: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Measure the file at ``path``."""
        hasher = hashlib.sha256()
        # Large pieces: after each one, this thread has to wait for the GIL, which another may hold to import.
        size = path.stat().st_size
        buffer = memoryview(bytearray(min(size, _PIECE_BYTES)))
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                hasher.update(buffer[:count])
        return cls(sha256=hasher.hexdigest(), size_bytes=size)


@dataclass(frozen=True, kw_only=True)
class Source:
    """The checkpoint that an artifact was made from.

    Attributes:
        id: hub id or folder name, for people; nothing depends on it.
        revision: the hub's commit, None for a local folder.
        digest: sha256 over the architecture's numbers and the weights in float32, so that the same model stored in
            another precision, sharding or naming has the same digest.
    """

    id: str
    revision: str | None
    digest: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The graph as TensorRT or TensorRT for RTX compiled it.

    Attributes:
        graph: file name of the graph of one node that refers to `file`, or holds the plan itself.
        file: file name of the plan.
        compute_capability: of the GPUs that it runs on, such as 89.
        builder: the compiler and its version, such as "tensorrt-rtx 1.7.1.116"; others cannot load the plan.
        gpu: the name of the GPU that it was built on; None if it was built ahead of time.
        profile: the shapes [sentences, tokens of the longest] that it takes, "min" and "max", and is tuned for, "opt".
    """

    graph: str
    file: str
    compute_capability: int
    builder: str
    gpu: str | None
    profile: Mapping[str, Sequence[int]]
