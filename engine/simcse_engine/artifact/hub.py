"""Where an artifact (or, for export, a checkpoint) lies: a local folder, or a repository on the Hugging Face hub."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import ArtifactNotFoundError, InputTypeError
from .checkpoints import CHECKPOINT_FILES, export_command, is_checkpoint, not_exported
from .manifest import ARTIFACT_FILES, ENGINE_FILES, PADDED_FILES
from .written import MANIFEST

# "user/name" or "user/name@revision", in the characters that the hub allows in names.
_HUB_ID = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?")

# What is fetched of an artifact's repository.
ARTIFACT = (*sorted(ARTIFACT_FILES | PADDED_FILES), ENGINE_FILES)


def locate(where: str | os.PathLike[str], *, files: Sequence[str] = ARTIFACT, pooler: str | None = None) -> Path:
    """The folder of the artifact that ``where`` names, fetched from the hub if it is a hub id.

    A hub id is a `str` of the form ``user/name`` or ``user/name@revision`` where neither that path nor a folder
    ``user`` exists here. So a mistyped path (``artifacts/minilm`` beside a folder ``artifacts``), a `Path`, or
    a string that starts with ``./``, ``/`` or ``~`` never turns into a download. ``files`` are glob patterns of what to
    fetch; ``pooler`` is the one to export a checkpoint with, if it turns out to be one.

    Raises:
        InputTypeError: ``where`` is neither `str` nor a path.
        ArtifactNotFoundError: it is a hub id, and the hub cannot give it (unknown, private, or no connection and
            nothing in the cache); or a checkpoint, and the message has the command that exports it.
    """
    if not isinstance(where, str | os.PathLike):
        raise InputTypeError(f"an artifact is named by a path or a hub id, not by {type(where).__name__}")
    name, revision = str(where), None
    hub_id = hub_id_of(where)
    if hub_id is not None:
        name, revision = hub_id
        command = export_command(name, revision=revision, pooler=pooler)
        advice = f"; if it is a checkpoint, export it where there is a connection: {command}"
        # The config tells a checkpoint from what is neither.
        folder = fetch(name, revision, files=[*files, *CHECKPOINT_FILES], offline_advice=advice)
    else:
        try:
            folder = Path(where).expanduser()
        except RuntimeError as error:
            raise ArtifactNotFoundError(f"{where}: {error}") from error
    if is_checkpoint(folder) and not (folder / MANIFEST).exists():
        raise not_exported(name, folder, revision=revision, pooler=pooler)
    return folder


def locate_remembered(where: str) -> Path:
    """The folder of an artifact that a file names, and not the caller: nothing is fetched for it.

    It is an absolute path, or a hub id whose files lie in huggingface_hub's cache.

    Raises:
        ArtifactNotFoundError: it is neither.
    """
    if Path(where).is_absolute():
        return Path(where)
    hub_id = split_hub_id(where)
    if hub_id is None:
        raise ArtifactNotFoundError(f"{where!r} is neither an absolute path nor a hub id")
    return fetch(*hub_id, files=ARTIFACT, from_cache=True)


def hub_id_of(where: str | os.PathLike[str]) -> tuple[str, str | None] | None:
    """Repository and revision if ``where`` is a hub id as `locate` says, else None."""
    # os.path.exists, as Path.exists raises for names that the system finds too long.
    if not isinstance(where, str) or os.path.exists(where):  # noqa: PTH110
        return None
    hub_id = split_hub_id(where)
    return None if hub_id is None or Path(where.split("/", 1)[0]).exists() else hub_id


def split_hub_id(text: str) -> tuple[str, str | None] | None:
    """Repository and revision of ``user/name`` or ``user/name@revision``; None where a text is neither."""
    match = _HUB_ID.fullmatch(text)
    return None if match is None else (match["repo"], match["revision"])


def fetch(
    repo: str,
    revision: str | None = None,
    *,
    files: Sequence[str],
    offline_advice: str = "",
    from_cache: bool = False,
) -> Path:
    """Fetch files of a hub repository into huggingface_hub's cache and return their folder there.

    Honours that library's settings (``HF_HOME``, ``HF_HUB_OFFLINE``, ``HF_TOKEN`` …); what is in the cache already
    is not fetched again, and is used when there is no connection. With ``from_cache`` nothing is fetched.
    """
    # Imported lazily: it takes 0.1 s that a local artifact need not pay.
    from huggingface_hub import snapshot_download
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.utils import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    from ..files.refusals import UNWRITABLE, unwritable

    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=list(files), local_files_only=from_cache))
    except LocalEntryNotFoundError as error:
        if from_cache:
            raise ArtifactNotFoundError(f"{repo}: {revision or 'it'} is not in the hub's cache here") from error
        raise ArtifactNotFoundError(
            f"{repo}: no such folder here; taken as a hub id, the hub cannot be reached and its cache "
            f"does not hold {revision or 'it'}{offline_advice}"
        ) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            raise unwritable(Path(error.filename or HF_HUB_CACHE), error) from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArtifactNotFoundError(f"{repo}: no such folder here, and as a hub id: {reason}") from error
