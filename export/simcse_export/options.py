"""What can be asked of an export. Imports nothing heavy, so the command line's help can read it."""

from dataclasses import dataclass
from pathlib import Path

from simcse_engine.errors import InputValueError

PRECISIONS = ("fp32", "int8")
TARGETS = ("cpu",)

# Most that the STS tasks' average Spearman x 100 may fall.
MAX_QUALITY_DROP = 0.2


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to make of a checkpoint.

    Attributes:
        revision: branch, tag or commit, for a hub id.
        pooler: one of `simcse_engine.artifact.POOLERS`; None for what the checkpoint's files state.
        precision: "fp32", or "int8" (BERT and RoBERTa).
        target: "cpu".
        max_tokens: longest text; None for what the checkpoint's files state, else 128.
        normalize: give unit vectors.
        calibration: a file of sentences, one a line, to choose int8's numbers by; None for the built-in ones.
        sts: a folder of STS tasks to score the artifact on, and judge a cheaper precision by, see
            `simcse_engine.sts.read_tasks`.
        max_quality_drop: largest fall of the tasks' average Spearman x 100.
        force: replace an artifact that is there already.
    """

    revision: str | None = None
    pooler: str | None = None
    precision: str = "fp32"
    target: str = "cpu"
    max_tokens: int | None = None
    normalize: bool = True
    calibration: Path | None = None
    sts: Path | None = None
    max_quality_drop: float = MAX_QUALITY_DROP
    force: bool = False

    def __post_init__(self) -> None:
        for name, value, known in (("precision", self.precision, PRECISIONS), ("target", self.target, TARGETS)):
            if value not in known:
                raise InputValueError(f"{name} {value!r} is unknown; {', '.join(known)} can be exported")
        if self.precision == "fp32" and self.calibration:
            raise InputValueError("calibration chooses int8's numbers; fp32 has none to choose")
