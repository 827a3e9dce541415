"""Checkpoints that somebody takes for artifacts: how to tell them, and the command that exports one."""

import json
import os
from pathlib import Path

from ..errors import ArtifactNotFoundError

# What tells a checkpoint, of transformers or sentence-transformers.
CHECKPOINT_FILES = ("config.json", "modules.json")

_MOST_HEADER_BYTES = 100 << 20  # what safetensors itself reads
_HEAD = ("pooler.dense.weight", "mlp.dense.weight")


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder, which is no artifact, is a checkpoint."""
    # os.path, as Path.is_file raises for names that the system finds too long.
    return any(os.path.isfile(folder / name) for name in CHECKPOINT_FILES)  # noqa: PTH113


def not_exported(
    checkpoint: str, folder: Path, *, revision: str | None = None, pooler: str | None = None
) -> ArtifactNotFoundError:
    """The error of whoever opens ``checkpoint``, a path or hub id whose files lie in ``folder``."""
    command = export_command(checkpoint, folder, revision=revision, pooler=pooler)
    return ArtifactNotFoundError(
        f"{checkpoint}: is a checkpoint, not an artifact; export it once, and open the result:", f"\n  {command}"
    )


def export_command(
    checkpoint: str, folder: Path | None = None, *, revision: str | None = None, pooler: str | None = None
) -> str:
    """The command that exports a checkpoint, as it can be pasted into a shell.

    Its pooler is ``pooler``, or what SimCSE's own class takes, which goes by the name. sentence-transformers' folders
    state their own; where the files cannot be seen (``folder`` is None), only a name of SimCSE says that there is none.
    """
    import shlex  # lazily: a command is for who has no artifact

    name = Path(checkpoint).resolve().name
    output = next(path for n in range(1, 1000) if not (path := Path(f"{name}-artifact{n if n > 1 else ''}")).exists())
    if pooler is None and ("simcse" in name.lower() if folder is None else not (folder / "modules.json").is_file()):
        headless = folder is not None and _lacks_head(folder)
        pooler = "cls_before_pooler" if "unsup" in checkpoint or headless else "cls"
    command = ["simcse-export", _word(checkpoint), "-o", _word(str(output))]
    command += ["--revision", revision] if revision is not None else []
    command += ["--pooler", pooler] if pooler is not None else []
    return shlex.join(command)


def _word(path: str) -> str:
    """A path that no command takes for an option."""
    return f"./{path}" if path.startswith("-") else path


def _lacks_head(folder: Path) -> bool:
    """Whether the names at the beginning of a safetensors file lack the head, which pooler cls needs."""
    try:
        with (folder / "model.safetensors").open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            names = json.loads(file.read(min(size, _MOST_HEADER_BYTES)))
    except (OSError, ValueError, RecursionError):
        return False
    return not any(name.endswith(_HEAD) for name in names)
