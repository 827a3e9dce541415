"""A folder of sentence-transformers: its modules, and what their files state, read as its releases 5 and 6 do."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from simcse_engine.artifact.fields import is_text
from simcse_engine.artifact.manifest import NO_PROMPTS
from simcse_engine.errors import CheckpointError, UnsupportedModelError

from ..tail.part import Part
from .json_file import read_json, shown
from .keys import CONFIG, LAST, MODULES, POOLING, TRANSFORMER, check_keys
from .length import Length
from .modules import read_last

# The Transformer module's settings have one of these names. An empty file counts as missing.
_SETTINGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)

# The modes of pooling as releases before 5.4 state them, each by a key, and as later ones do.
_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_POOLERS = {
    **{"cls": "cls_before_pooler", "mean": "avg", "max": "max", "mean_sqrt_len_tokens": "mean_sqrt_len"},
    **{"weightedmean": "weightedmean", "lasttoken": "lasttoken"},
}


@dataclass(frozen=True, kw_only=True)
class SentenceTransformer:
    """What a folder of sentence-transformers states.

    Attributes:
        transformer: the folder of config, weights and tokenizer.
        pooler: one of `simcse_engine.artifact.kinds.POOLERS`.
        include_prompt: whether pooling takes a prompt's tokens along.
        tail: what makes other vectors of the pooled ones.
        ends_in_unit: whether a Normalize follows it.
        length: the longest text; None where tokenizer and config decide.
        lowercase: whether texts are lowercased before the tokenizer sees them.
        truncate_dim: how many floats of each vector are kept; None for all.
        prompts: what is put before texts, by name.
        default_prompt_name: the one for texts of no stated kind; None for none.
        warnings: what the folder states and no artifact heeds.
    """

    transformer: Path
    pooler: str
    include_prompt: bool
    tail: tuple[Part, ...]
    ends_in_unit: bool
    length: Length | None
    lowercase: bool
    truncate_dim: int | None
    prompts: Mapping[str, str]
    default_prompt_name: str | None
    warnings: tuple[str, ...]


def open_sentence_transformer(root: Path) -> SentenceTransformer | None:
    """Read the files that the library adds to a model; None for a plain checkpoint, which has no ``modules.json``."""
    path = root / "modules.json"
    if not path.exists():
        return None
    warnings: list[str] = []
    (_, transformer), (_, pooling), *last = _modules(path, warnings)
    config_path, config = _config(root, warnings)
    prompts = _prompts(config_path, config)
    settings_path, settings = _settings(root / transformer, warnings)
    pooler, include_prompt = _pooler(root / pooling / "config.json", warnings)
    tail, ends_in_unit = read_last([(kind, root / folder) for kind, folder in last], warnings)
    return SentenceTransformer(
        transformer=root / transformer,
        pooler=pooler,
        include_prompt=include_prompt,
        tail=tail,
        ends_in_unit=ends_in_unit,
        length=_length(settings_path, settings),
        lowercase=bool(settings.get("do_lower_case")),
        truncate_dim=_truncate_dim(config_path, config),
        prompts=prompts,
        default_prompt_name=_default_prompt_name(config_path, config, prompts),
        warnings=tuple(warnings),
    )


def _modules(path: Path, warnings: list[str]) -> list[tuple[str, str]]:
    """The modules' kinds and folders, in their order."""
    modules = []
    for module in read_json(path, list):
        if not isinstance(module, dict) or not all(isinstance(module.get(key), str) for key in ("type", "path")):
            raise CheckpointError(f"{path}: not a list of modules with type and path")
        kind, folder = module["type"], module["path"]
        parts = PureWindowsPath(folder)  # which knows POSIX's separators too
        if parts.anchor or ".." in parts.parts or "\0" in folder:
            raise CheckpointError(f"{path}: a module's path is {shown(folder)}; expected a folder below this one")
        # The library's classes have moved between releases, so only their own names count.
        if not kind.startswith("sentence_transformers."):
            raise UnsupportedModelError(
                f"{path}: a module's type is {shown(kind)}: code of its own, which is never run"
            )
        warnings += check_keys(path, module, MODULES)
        modules.append((kind.rsplit(".", 1)[-1], folder))
    kinds = [kind for kind, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or not {*kinds[2:]} <= LAST.keys():
        raise UnsupportedModelError(
            f"{path}: modules {', '.join(kinds) or '(none)'}; only Transformer, Pooling and then "
            f"{', '.join(LAST)}, in any order and number, can be exported"
        )
    return modules


def _config(root: Path, warnings: list[str]) -> tuple[Path, dict[str, Any]]:
    """The whole model's config, and its file."""
    path = root / "config_sentence_transformers.json"
    config = read_json(path) if path.exists() else {}
    warnings += check_keys(path, config, CONFIG)
    return path, config


def _truncate_dim(path: Path, config: Mapping[str, Any]) -> int | None:
    value = config.get("truncate_dim")
    if value is not None and (type(value) is not int or value < 1):
        raise CheckpointError(f"{path}: truncate_dim is {shown(value)}; expected a count of floats")
    return value


def _prompts(path: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """What the library has in ``model.prompts`` once it has loaded the folder."""
    prompts = config.get("prompts") or {}
    if not isinstance(prompts, dict):
        raise CheckpointError(f"{path}: prompts is {shown(prompts)}; expected a JSON object")
    for name, prompt in prompts.items():
        if not isinstance(prompt, str | None) or not is_text(f"{name}{prompt}"):
            raise CheckpointError(f"{path}: prompts has {shown(name)}: {shown(prompt)}; expected a text")
    return {**NO_PROMPTS, **{name: prompt or "" for name, prompt in prompts.items()}}


def _default_prompt_name(path: Path, config: Mapping[str, Any], prompts: Mapping[str, str]) -> str | None:
    name = config.get("default_prompt_name") or None
    if name is not None and (not isinstance(name, str) or name not in prompts):
        raise CheckpointError(f"{path}: default_prompt_name is {shown(name)}, which prompts does not have")
    return name


def _settings(folder: Path, warnings: list[str]) -> tuple[Path, dict[str, Any]]:
    """The Transformer module's settings, and their file."""
    for name in _SETTINGS:
        path = folder / name
        if path.exists() and (settings := read_json(path)):
            warnings += check_keys(path, settings, TRANSFORMER)
            modalities = settings.get("modality_config")
            if modalities and "text" not in modalities:
                raise UnsupportedModelError(f"{path}: modality_config is {shown(modalities)}; it takes no text")
            return path, settings
    return folder / _SETTINGS[0], {}


def _length(path: Path, settings: Mapping[str, Any]) -> Length | None:
    """The longest text of the Transformer module's settings: of all that may set it, what the tokenizer heeds."""
    call, loading = settings.get("processing_kwargs") or {}, settings.get("tokenizer_args") or {}
    loading = loading or settings.get("processor_kwargs") or {}
    for place, key in (
        ((call.get("common") or {}), "max_length"),
        ((call.get("text") or {}), "max_length"),
        (loading, "model_max_length"),
        (settings, "max_seq_length"),
    ):
        length = Length.stated(place.get(key), key, path)
        if length is not None:
            return length
    return None


def _pooler(path: Path, warnings: list[str]) -> tuple[str, bool]:
    """The pooler, and whether it takes a prompt's tokens along."""
    config = read_json(path)
    warnings += check_keys(path, config, POOLING)
    if "pooling_mode" in config:
        mode = config["pooling_mode"]
        modes = mode if isinstance(mode, list) else [mode]
    else:
        modes = [mode for key, mode in _MODES.items() if config.get(key)] or ["mean"]
    if not modes or not all(mode in _MODES.values() for mode in modes):
        raise CheckpointError(f"{path}: pooling_mode is {shown(modes)}; expected one of {', '.join(_MODES.values())}")
    if len(modes) > 1:
        raise UnsupportedModelError(
            f"{path}: pools by {' + '.join(modes)}; vectors of several modes, joined, cannot be exported"
        )
    return _POOLERS[modes[0]], bool(config.get("include_prompt", True))
