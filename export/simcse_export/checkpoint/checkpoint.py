"""A trained checkpoint's small files: in a local folder or on the hub, plain transformers or sentence-transformers.

Nothing is guessed from a name: what the files leave out or contradict is refused.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcse_engine.artifact.hub import fetch, hub_id_of
from simcse_engine.artifact.kinds import POOLERS
from simcse_engine.errors import ArtifactNotFoundError, CheckpointError, PoolerError, UnsupportedModelError

# The files to fetch of a hub repository: no other frameworks' weights, no exports.
_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors", "pytorch_model*.bin", "*/pytorch_model*.bin"]

# SimCSE trains on 32 tokens; its code encodes up to this many by default.
DEFAULT_MAX_TOKENS = 128

# Two special tokens and one of the text.
_MIN_TOKENS = 3

# In these model types positions count from the padding id + 1, which leaves fewer of them for tokens.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "mpnet", "xlm-roberta-xl", "data2vec-text", "longformer"}

# A pooling mode of sentence-transformers, as old and new versions name it → the pooler.
_POOLERS = {
    "pooling_mode_cls_token": "cls_before_pooler",
    "cls": "cls_before_pooler",
    "pooling_mode_mean_tokens": "avg",
    "mean": "avg",
}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where a checkpoint is, and what its small files state.

    Attributes:
        folder: config, weights and tokenizer (for sentence-transformers the transformer module's folder).
        id: hub id, or the folder's name.
        revision: the hub's commit, None for a local folder.
        config: ``config.json``.
        pooler: the pooler that the files state, or None.
        max_tokens: the longest text that the files state, or None.
        lowercase: whether texts are lowercased before the tokenizer sees them.
    """

    folder: Path
    id: str
    revision: str | None
    config: dict[str, Any]
    pooler: str | None
    max_tokens: int | None
    lowercase: bool

    @property
    def positions(self) -> int | None:
        """Most tokens that the model has positions for; None where there is no limit."""
        count = self.config.get("max_position_embeddings")
        if not isinstance(count, int) or count <= 0:
            return None
        offset = self.config["model_type"] in _OFFSET_POSITIONS
        return count - (self.config.get("pad_token_id", 1) + 1 if offset else 0)


def open_checkpoint(where: str | os.PathLike[str], revision: str | None = None) -> Checkpoint:
    """Find a checkpoint, a folder or a hub id, and read its small files."""
    root, name, commit = _locate(where, revision)
    modules = _modules(root)
    folder = root / modules.get("Transformer", "")
    config = _read_json(folder / "config.json")
    if not isinstance(config.get("model_type"), str):
        raise CheckpointError(f'{folder / "config.json"}: has no model_type; add it, such as "model_type": "bert"')
    padding = config.get("pad_token_id", 1)
    if config["model_type"] in _OFFSET_POSITIONS and not isinstance(padding, int):
        raise CheckpointError(f"{folder / 'config.json'}: pad_token_id is {padding!r}, and positions count from it")
    settings = _read_json(folder / "sentence_bert_config.json") if modules else {}
    stated = settings.get("max_seq_length")
    if stated is not None and not (isinstance(stated, int) and stated >= _MIN_TOKENS):
        raise CheckpointError(f"{folder / 'sentence_bert_config.json'}: max_seq_length is {stated!r}")
    return Checkpoint(
        folder=folder,
        id=name,
        revision=commit,
        config=config,
        pooler=_stated_pooler(root / modules["Pooling"]) if "Pooling" in modules else None,
        max_tokens=stated,
        lowercase=bool(settings.get("do_lower_case")),
    )


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
        raise CheckpointError(str(error)) from error
    return root, name, root.name  # the cache names a snapshot's folder by its commit


def choose_pooler(checkpoint: Checkpoint, choice: str | None, *, has_head: bool) -> str:
    """The pooler to export: the user's choice, else the one that the checkpoint's files state."""
    pooler = choice or checkpoint.pooler
    if pooler is None:
        usual = "cls for supervised SimCSE, cls_before_pooler for unsupervised"
        without = "" if has_head else "; it has no weights for cls"
        raise PoolerError(
            f"{checkpoint.id}: its files do not say which pooler it was trained with{without}; "
            f"pass --pooler, one of {', '.join(POOLERS)} ({usual})"
        )
    if pooler not in POOLERS:
        raise PoolerError(f"pooler {pooler!r} is unknown; choose one of {', '.join(POOLERS)}")
    if pooler == "cls" and not has_head:
        raise PoolerError(
            f"{checkpoint.id}: pooler cls needs the trained head (pooler.dense or mlp.dense), and the checkpoint has "
            "none; transformers would fill in random weights. cls_before_pooler goes without"
        )
    return pooler


def choose_max_tokens(checkpoint: Checkpoint, choice: int | None) -> int:
    """The longest text: the user's choice, else what the checkpoint's files state, else `DEFAULT_MAX_TOKENS`."""
    most = checkpoint.positions
    if choice is None:
        stated = checkpoint.max_tokens or DEFAULT_MAX_TOKENS
        choice = stated if most is None else min(stated, most)
    if choice < _MIN_TOKENS or (most is not None and choice > most):
        raise CheckpointError(
            f"max_tokens={choice}: {checkpoint.id} takes from {_MIN_TOKENS} to {most or 'any number of'} tokens"
        )
    return choice


def _modules(root: Path) -> dict[str, str]:
    """Module kind → its folder, from sentence-transformers' ``modules.json``; empty for a plain checkpoint."""
    path = root / "modules.json"
    if not path.is_file():
        return {}
    modules = _read_json(path, list)
    try:
        kinds = [(module["type"].rsplit(".", 1)[-1], Path(module["path"]).as_posix()) for module in modules]
    except (TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path}: not a list of modules with type and path") from error
    if [kind for kind, _ in kinds] not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise UnsupportedModelError(
            f"{path}: modules {', '.join(kind for kind, _ in kinds)}; only Transformer, Pooling and Normalize, in this "
            "order, can be exported"
        )
    prompts = root / "config_sentence_transformers.json"
    if prompts.is_file() and _read_json(prompts).get("default_prompt_name"):
        raise UnsupportedModelError(f"{prompts}: it prepends a prompt to texts by default, which no artifact does")
    return dict(kinds)


def _stated_pooler(folder: Path) -> str:
    config = _read_json(folder / "config.json")
    modes = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    if not modes and isinstance(config.get("pooling_mode"), str):
        modes = [config["pooling_mode"]]
    poolers = [_POOLERS.get(mode) for mode in modes]
    if len(poolers) != 1 or poolers[0] is None:
        raise UnsupportedModelError(
            f"{folder / 'config.json'}: pools by {' + '.join(modes) or 'nothing'}; "
            "of sentence-transformers' ways, the first token and the mean can be exported"
        )
    return poolers[0]


def _read_json(path: Path, kind: type = dict) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: missing") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, kind):
        raise CheckpointError(f"{path}: expected a JSON {kind.__name__}, got {type(content).__name__}")
    return content
