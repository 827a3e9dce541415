"""Pushing an artifact to the Hugging Face hub, with a card that says what it is."""

import os
import shlex
from pathlib import Path

from simcse_engine.artifact.opening import open_artifact
from simcse_engine.artifact.upload import upload
from simcse_engine.artifact.written import MANIFEST
from simcse_engine.errors import OutputError
from simcse_engine.wording import Wording

from .card import model_card

CARD = "README.md"


def push_to_hub(artifact: str | os.PathLike[str], repo_id: str, *, private: bool = False) -> str:
    """Push an artifact to the Hugging Face hub, in one commit, and return the repository's address.

    A card is made from the manifest, and replaces the one there; other files there stay. Whoever may read the
    repository opens it by ``Encoder(repo_id)``. Of huggingface_hub's settings, ``HF_TOKEN`` and ``HF_ENDPOINT`` matter.

    >>> push_to_hub("artifact", "user/name")
    'https://huggingface.co/user/name'

    Args:
        artifact: its folder, of which every file is checked first.
        repo_id: ``user/name``, or ``user/name@branch``; repository and branch are made where there are none.
        private: make a private repository, and refuse one that everybody can read.

    Raises:
        ArtifactError: the artifact is missing or damaged.
        InputValueError: ``repo_id`` is no hub id.
        OutputError: the hub does not take it; the message says why. No file of the repository was
            changed; one that was made for this, or a branch, stays, empty.
    """
    folder = Path(artifact)
    manifest = open_artifact(folder)
    contents: dict[str, Path | bytes] = {name: folder / name for name in (MANIFEST, *manifest.files)}
    contents[CARD] = model_card(manifest, repo_id).encode()
    message = f"Artifact {manifest.identity[:12]} of simcse-engine"
    try:
        return upload(repo_id, contents, message=message, private=private)
    except OutputError as error:
        call = f"push_to_hub({str(folder)!r}, {repo_id!r}{', private=True' if private else ''})"
        command = f"python -c {shlex.quote(f'from simcse_export import push_to_hub; {call}')}"
        again = Wording(call, command)
        raise OutputError(*error.args, f"; {folder} is whole, push it again: ", again) from error
