"""A trained checkpoint's small files: in a local folder or on the hub, plain transformers or sentence-transformers.

Nothing is guessed from a name: what the files leave out or contradict is refused.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcse_engine.artifact.hub import fetch, hub_id_of
from simcse_engine.artifact.kinds import POOLERS
from simcse_engine.artifact.manifest import NO_PROMPTS
from simcse_engine.errors import ArtifactNotFoundError, CheckpointError, PoolerError
from simcse_engine.wording import Wording

from .adapters import refuse_adapters
from .architecture import MPNET_PADDING_ID
from .json_file import read_json
from .sentence_transformers import SentenceTransformer, open_sentence_transformer

# The files to fetch of a hub repository: no other frameworks' weights, no exports.
_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors", "pytorch_model*.bin", "*/pytorch_model*.bin"]

# In these model types positions count from the padding id + 1, which leaves fewer of them for tokens.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "data2vec-text", "longformer"}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where a checkpoint is, and what its small files state.

    Attributes:
        folder: config, weights and tokenizer (for sentence-transformers the transformer module's folder).
        id: hub id, or the folder's name.
        revision: the hub's commit, None for a local folder.
        config: ``config.json``.
        stated: what sentence-transformers' own files state; None for a plain checkpoint.
    """

    folder: Path
    id: str
    revision: str | None
    config: dict[str, Any]
    stated: SentenceTransformer | None

    @property
    def warnings(self) -> Sequence[str]:
        """What the files state and no artifact heeds."""
        return () if self.stated is None else self.stated.warnings

    @property
    def prompts(self) -> Mapping[str, str]:
        """What is put before texts, by name."""
        return NO_PROMPTS if self.stated is None else self.stated.prompts

    @property
    def default_prompt_name(self) -> str | None:
        """The prompt for texts of no stated kind; None for none."""
        return None if self.stated is None else self.stated.default_prompt_name

    @property
    def positions(self) -> int | None:
        """Most tokens that the model has positions for; None where there is no limit."""
        count = self.config.get("max_position_embeddings")
        if not isinstance(count, int) or count <= 0:
            return None
        return count - _first_position(self.config)


def open_checkpoint(where: str | os.PathLike[str], revision: str | None = None) -> Checkpoint:
    """Find a checkpoint, a folder or a hub id, and read its small files."""
    root, name, commit = _locate(where, revision)
    stated = open_sentence_transformer(root)
    folder = root if stated is None else stated.transformer
    refuse_adapters(folder)
    config = read_json(folder / "config.json")
    if not isinstance(config.get("model_type"), str):
        raise CheckpointError(f'{folder / "config.json"}: has no model_type; add it, such as "model_type": "bert"')
    padding = config.get("pad_token_id", 1)
    if config["model_type"] in _OFFSET_POSITIONS and not isinstance(padding, int):
        raise CheckpointError(f"{folder / 'config.json'}: pad_token_id is {padding!r}, and positions count from it")
    return Checkpoint(folder=folder, id=name, revision=commit, config=config, stated=stated)


def _first_position(config: Mapping[str, Any]) -> int:
    """The row of the position table that a text's first token has."""
    if config["model_type"] == "mpnet":
        return MPNET_PADDING_ID + 1
    return int(config.get("pad_token_id", 1)) + 1 if config["model_type"] in _OFFSET_POSITIONS else 0


def _locate(where: str | os.PathLike[str], revision: str | None) -> tuple[Path, str, str | None]:
    """A checkpoint's folder, its id, and the hub's commit."""
    hub_id = hub_id_of(where)
    if hub_id is None:
        root = Path(where).expanduser()
        if revision is not None:
            raise CheckpointError(f"{where}: a revision goes with a hub id, and this is a local path")
        if not root.is_dir():
            raise CheckpointError(f"{where}: {'is a file; name its folder' if root.exists() else 'no such folder'}")
        return root, root.resolve().name, None
    name, stated = hub_id
    if revision and stated and revision != stated:
        raise CheckpointError(f"{where}: names revision {stated}, and the options name {revision}; choose one")
    try:
        root = fetch(name, revision or stated, files=_HUB_FILES)
    except ArtifactNotFoundError as error:
        raise CheckpointError(*error.args) from error
    return root, name, root.name  # the cache names a snapshot's folder by its commit


def choose_pooler(checkpoint: Checkpoint, choice: str | None, *, has_head: bool) -> str:
    """The pooler to export: the user's choice, else the one that the checkpoint's files state."""
    pooler = choice or (checkpoint.stated and checkpoint.stated.pooler)
    if pooler is None:
        usual = "cls for supervised SimCSE, cls_before_pooler for unsupervised"
        without = "" if has_head else "; it has no weights for cls"
        raise PoolerError(
            f"{checkpoint.id}: its files do not say which pooler it was trained with{without}; pass ",
            Wording("pooler=…", "--pooler"),
            f", one of {', '.join(POOLERS)} ({usual})",
        )
    if pooler not in POOLERS:
        raise PoolerError(f"pooler {pooler!r} is unknown; choose one of {', '.join(POOLERS)}")
    if pooler == "cls" and not has_head:
        raise PoolerError(
            f"{checkpoint.id}: pooler cls needs the trained head (pooler.dense or mlp.dense), and the checkpoint has "
            "none; transformers would fill in random weights. cls_before_pooler goes without"
        )
    return pooler
