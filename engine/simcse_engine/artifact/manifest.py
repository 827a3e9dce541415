"""The manifest: all that is known of an artifact, and the names of its files.

This file is the contract between export and engine. Export builds a `Manifest` with `Manifest.describe` and writes it;
the engine opens the folder with `simcse_engine.artifact.opening`, which checks every file before anything runs.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ..errors import IntegrityError
from .fields import WrongFieldError, check_fields
from .kinds import SIMCSE_POOLERS
from .parts import FileEntry, Plan, Source
from .written import FORMATS, MANIFEST, digest, written_content

GRAPH = "model.onnx"
WEIGHTS = "model.onnx.data"
TOKENIZER = "tokenizer.json"
CHECK = "check.npz"
_REQUIRED = (GRAPH, WEIGHTS, TOKENIZER, CHECK)
ARTIFACT_FILES = frozenset({MANIFEST, *_REQUIRED})
# Of an artifact in the padded layout: what other programs read beside the graph, and this engine does not.
CONFIG, TOKENIZER_CONFIG, SPECIAL_TOKENS = "config.json", "tokenizer_config.json", "special_tokens_map.json"
PADDED_FILES = frozenset({CONFIG, TOKENIZER_CONFIG, SPECIAL_TOKENS})
# Of a compiled artifact, for each kind of GPU: the plan, and the graph that refers to it.
ENGINE_FILES = "engine-*"

# Those of a model that states none: sentence-transformers knows these two of every model.
NO_PROMPTS: Mapping[str, str] = {"query": "", "document": ""}

# Fields that format 3's first artifacts do not have.
_LATER: Mapping[str, Any] = {
    "max_tokens_source": None,
    "prompts": NO_PROMPTS,
    "default_prompt_name": None,
    "include_prompt": True,
    "output_range": None,
}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All that is known of an artifact; the one source of every decision of the engine.

    Attributes:
        source: the checkpoint.
        architecture: the model's type and numbers, and which writer made the graph.
        pooler: one of `simcse_engine.artifact.kinds.POOLERS`.
        normalized: whether the graph gives unit vectors.
        precision: one of `simcse_engine.artifact.kinds.PRECISIONS`.
        target: one of `simcse_engine.artifact.kinds.TARGETS`.
        dimension: floats per vector.
        max_tokens: tokens of the longest text, special tokens included; longer texts are cut.
        max_batch: most sentences per run of a compiled graph; None where there is nothing to compile.
        layout: one of `simcse_engine.artifact.kinds.LAYOUTS`.
        padding_id: None where positions count from 0; else they count from this + 1 and skip tokens of this id, as
            RoBERTa's do. Only layouts whose graphs take positions need it.
        files: every file beside the manifest.
        versions: package versions at export.
        parity: measured agreement with the reference model, see `simcse_engine.measure.parity`.
        quality: what the precision costs against float32, as export measured it; None for float32.
        verified: whether parity was measured through the real graph on its real target; None where it was measured
            only on a CPU.
        engines: the plans, by compute capability as a decimal.
        max_tokens_source: what set max_tokens, for people; None where an older export did not say.
        prompts: what is put before texts, by name, as sentence-transformers does it.
        default_prompt_name: the one for texts of no stated kind; None for none.
        include_prompt: whether pooling takes a prompt's tokens along; where it does not, the graph has an input more.
        output_range: the largest magnitude of a number of calibration sentences' vectors, which int8 vectors are scaled
            by; None where an older export did not measure it.
    """

    source: Source
    architecture: Mapping[str, Any]
    pooler: str
    normalized: bool
    precision: str
    target: str
    dimension: int
    max_tokens: int
    max_batch: int | None
    layout: str
    padding_id: int | None
    files: Mapping[str, FileEntry]
    versions: Mapping[str, str] = field(default_factory=dict)
    parity: Mapping[str, float] | None = None
    quality: Mapping[str, Any] | None = None
    verified: bool | None = None
    engines: Mapping[str, Plan] = field(default_factory=dict)
    max_tokens_source: str | None = None
    prompts: Mapping[str, str] = field(default_factory=lambda: dict(NO_PROMPTS))
    default_prompt_name: str | None = None
    include_prompt: bool = True
    output_range: float | None = None

    @property
    def identity(self) -> str:
        """Hex digest of all that decides a vector's value; an index accepts only vectors of this identity."""
        graph, weights = self.files[GRAPH].sha256, self.files[WEIGHTS].sha256
        return digest({"graph": graph, "weights": weights, "precision": self.precision, **self._model_facts()})

    @property
    def model(self) -> str:
        """Hex digest of the model apart from graph and precision: what artifacts of one checkpoint share."""
        return digest({"checkpoint": self.source.digest, **self._model_facts()})

    def _model_facts(self) -> dict[str, Any]:
        return {
            "tokenizer": self.files[TOKENIZER].sha256,
            "pooler": self.pooler,
            "normalized": self.normalized,
            "max_tokens": self.max_tokens,
            **self._prompt_facts(),
        }

    def _prompt_facts(self) -> dict[str, Any]:
        """Of an artifact with prompts: what they are."""
        if not any(self.prompts.values()):
            return {}
        return {
            "prompts": dict(self.prompts),
            "default_prompt_name": self.default_prompt_name,
            "include_prompt": self.include_prompt,
        }

    @property
    def format(self) -> int:
        """The first of `FORMATS` whose engines read the artifact rightly."""
        first = self.pooler in SIMCSE_POOLERS and self.layout != "padded" and self.include_prompt
        return FORMATS[0] if first and not self._prompt_facts() else FORMATS[1]

    @classmethod
    def describe(cls, folder: Path, **facts: Any) -> Self:
        """Describe the artifact whose files lie in ``folder``; ``facts`` are the other attributes."""
        return cls(files=cls.files_in(folder), **facts)

    @staticmethod
    def files_in(folder: Path) -> dict[str, FileEntry]:
        """Measure every file in ``folder`` but the manifest."""
        return {
            path.name: FileEntry.of(path)
            for path in sorted(folder.iterdir())
            if path.is_file() and path.name != MANIFEST
        }

    def to_json(self) -> dict[str, Any]:
        """The manifest as it is written: with format, identity, model and a digest over itself."""
        content = {
            "format": self.format,
            **dataclasses.asdict(self),
            "identity": self.identity,
            "model": self.model,
        }
        return {**content, "digest": digest(content)}

    def write(self, folder: Path) -> None:
        """Write ``manifest.json`` into ``folder``."""
        self.write_to(folder / MANIFEST)

    def write_to(self, path: Path) -> None:
        """Write the manifest into a file of another name, which the caller renames when it is whole."""
        path.write_text(json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read and check ``folder/manifest.json``; `check_sizes` and `check_content` check the files it names.

        Raises:
            ArtifactNotFoundError: no folder, or no manifest in it.
            FormatVersionError: a format that this engine does not read.
            IntegrityError: not JSON, edited after export, or a field is missing or has a value that it cannot have.
        """
        content = written_content(folder)
        try:
            return cls._parse(content)
        except WrongFieldError as error:
            raise IntegrityError(f"{folder / MANIFEST}: {error}; export again") from error

    @classmethod
    def _parse(cls, content: dict[str, Any]) -> Self:
        for name, default in _LATER.items():
            content.setdefault(name, default)
        check_fields(content, _REQUIRED)
        facts = {f.name: content[f.name] for f in dataclasses.fields(cls)}
        facts["source"] = Source(**facts["source"])
        facts["files"] = {name: FileEntry(**entry) for name, entry in facts["files"].items()}
        facts["engines"] = {name: Plan(**entry) for name, entry in facts["engines"].items()}
        manifest = cls(**facts)
        for name in ("identity", "model"):
            if getattr(manifest, name) != content[name]:
                raise WrongFieldError(f"{name} is not that of the other fields")
        return manifest

    def check_sizes(self, folder: Path) -> None:
        """Compare every file's size in ``folder`` with the manifest.

        Raises:
            IntegrityError: a file is missing or of another size.
        """
        for name, entry in self.files.items():
            path = folder / name
            if not path.is_file():
                raise IntegrityError(f"{path}: missing; copy or fetch the whole artifact, or export again")
            size = path.stat().st_size
            if size != entry.size_bytes:
                raise IntegrityError(f"{path}: {size} bytes, the manifest says {entry.size_bytes}; copy it again")

    def check_content(self, folder: Path, names: Iterable[str]) -> None:
        """Compare the content of the named files in ``folder`` with the manifest.

        Raises:
            IntegrityError: a file was altered.
        """
        for name in names:
            if FileEntry.of(folder / name).sha256 != self.files[name].sha256:
                raise IntegrityError(f"{folder / name}: altered since export (sha256 differs); copy it again")
