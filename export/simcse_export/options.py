"""The options of an export. Imports nothing heavy, so that `--help` is quick."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from simcse_engine.artifact.kinds import TARGETS
from simcse_engine.errors import InputTypeError, InputValueError
from simcse_engine.inputs import checked_number, checked_whole
from simcse_engine.wording import Wording, argument

# The largest fall of the STS tasks' average Spearman x 100.
MAX_QUALITY_DROP = 0.2

# Layouts that can be asked for where a target has another of its own.
SELECTABLE_LAYOUTS = ("padded",)

# Most sentences per run of a compiled target.
MAX_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to make of a checkpoint.

    Attributes:
        revision: branch, tag or commit, for a hub id.
        pooler: one of `simcse_engine.artifact.kinds.POOLERS`; None for what the checkpoint's files state.
        precision: one of the target's, see `simcse_engine.artifact.kinds.TARGETS`; all but "fp32" on CPUs are for
            model types whose graphs are written here.
        target: one of `simcse_engine.artifact.kinds.TARGETS`.
        layout: "padded" for a graph for CPUs with the usual inputs, ``input_ids`` and ``attention_mask``, and the files
            that other programs read beside it; None for the target's own.
        max_tokens: longest text; None for what the files of a sentence-transformers folder state, else 128.
        max_batch: most sentences per run, for targets that are compiled; None for 64.
        compute_capability: the GPUs to compile for, such as (89, 120); for "tensorrt-rtx".
        normalize: whether vectors are scaled to unit length.
        head: an ONNX graph, float32 [n, d] → [n, d'], that makes other vectors of the pooled ones; None for none.
        whiten: a file of sentences, one per line, whose vectors' mean and covariance become a last linear map, so that
            they have mean zero and variance one in every dimension; None for none.
        dimensions: floats per vector: with ``whiten`` those that vary most, else the first ones; None for all, or as
            many as the checkpoint's files state.
        calibration: a file of sentences, one per line, to choose int8's numbers by; None for the built-in ones.
        sts: a folder of STS tasks to score the artifact on and to judge a cheaper precision by, see
            `simcse_engine.measure.sts.read_tasks`.
        max_quality_drop: largest fall of the tasks' average Spearman x 100.
        force: replace an existing artifact.

    Raises:
        InputTypeError, InputValueError: an option is wrong, or options contradict each other.
    """

    revision: str | None = None
    pooler: str | None = None
    precision: str = "fp32"
    target: str = "cpu"
    layout: str | None = None
    max_tokens: int | None = None
    max_batch: int | None = None
    compute_capability: tuple[int, ...] = ()
    normalize: bool = True
    head: Path | None = None
    whiten: Path | None = None
    dimensions: int | None = None
    calibration: Path | None = None
    sts: Path | None = None
    max_quality_drop: float = MAX_QUALITY_DROP
    force: bool = False

    def __post_init__(self) -> None:
        self._take_numbers()
        if self.target not in TARGETS:
            raise InputValueError(f"target {self.target!r} is unknown; {', '.join(TARGETS)} can be exported for")
        known = TARGETS[self.target].precisions
        if self.precision not in known:
            raise InputValueError(
                f"precision {self.precision!r} is unknown for target {self.target}; {', '.join(known)} can be exported"
            )
        if self.layout not in (None, *SELECTABLE_LAYOUTS):
            raise InputValueError(
                f"layout {self.layout!r} is unknown; {', '.join(SELECTABLE_LAYOUTS)} can be asked for"
            )
        if self.layout is not None and self.target != "cpu":
            raise InputValueError(argument("layout", self.layout), f" is for target cpu, not for {self.target}")
        if self.calibration and self.precision != "int8":
            raise InputValueError(
                Wording("calibration", "--calibration"), f" chooses int8's numbers; {self.precision} has none to choose"
            )
        if self.dimensions is not None and self.dimensions < 1:
            raise InputValueError(argument("dimensions", self.dimensions), ": expected at least 1")
        compiled = TARGETS[self.target].compiled
        if self.max_batch is not None and (not compiled or self.max_batch < 1):
            problem = (
                "expected at least 1"
                if compiled
                else f"is for targets that are compiled (tensorrt, tensorrt-rtx), not for {self.target}"
            )
            raise InputValueError(argument("max_batch", self.max_batch), f": {problem}")
        if bool(self.compute_capability) != (self.target == "tensorrt-rtx"):
            option = Wording("compute_capability", "--compute-capability")
            if not self.compute_capability:
                raise InputValueError(
                    "tensorrt-rtx is compiled ahead: name the GPUs' compute capabilities (", option, "), such as 89"
                )
            raise InputValueError(
                option, f" is for target tensorrt-rtx, which is compiled ahead, not for {self.target}"
            )

    def _take_numbers(self) -> None:
        """Let numbers of other types, such as NumPy's, be those that the manifest can hold."""
        for name in ("max_tokens", "max_batch", "dimensions"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else checked_whole(name, value))
        if not isinstance(self.compute_capability, Iterable):
            raise InputTypeError(f"compute_capability={self.compute_capability!r:.40}: expected a list, such as (89,)")
        capabilities = tuple(checked_whole("compute_capability", value) for value in self.compute_capability)
        object.__setattr__(self, "compute_capability", capabilities)
        object.__setattr__(self, "max_quality_drop", checked_number("max_quality_drop", self.max_quality_drop))

    @property
    def run_sentences(self) -> int | None:
        """Most sentences per run of a compiled target; None for others."""
        return (self.max_batch or MAX_BATCH) if TARGETS[self.target].compiled else None

    @property
    def first_on_cpu(self) -> bool:
        """Whether the artifact is the float32 one for CPUs, with which all others are compared."""
        return (self.target, self.precision, self.layout) == ("cpu", "fp32", None)
