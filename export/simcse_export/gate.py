"""The quality gate: what a precision costs against float32, and whether that is little enough to publish."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcse_engine import Encoder
from simcse_engine.errors import QualityError
from simcse_engine.measure import quality
from simcse_engine.measure.parity import compare
from simcse_engine.measure.sts import Task, read_tasks
from simcse_engine.measure.ways import way
from simcse_engine.wording import Wording

from .options import MAX_QUALITY_DROP
from .texts.corpora import built_in

# Least mean cosine to float32 where there is no STS to measure by.
LEAST_MEAN_COSINE = 0.995


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a cheaper precision is measured on, and its limit.

    Attributes:
        texts: sentences that calibration has not seen.
        tasks: STS tasks; empty without a folder of them.
        max_quality_drop: largest fall of the tasks' average Spearman x 100.
    """

    texts: Sequence[str]
    tasks: Sequence[Task] = ()
    max_quality_drop: float = MAX_QUALITY_DROP

    @classmethod
    def of(cls, sts: Path | None, max_quality_drop: float) -> "Gate":
        """The built-in sentences, and the STS folder's tasks."""
        tasks = read_tasks(sts) if sts is not None else ()
        return cls(texts=built_in("gate"), tasks=tasks, max_quality_drop=max_quality_drop)

    def measure(self, cheap: Sequence[Encoder], exact: Encoder) -> Mapping[str, Any]:
        """Compare an artifact with its float32 twin; a QualityError where the cost exceeds the limit.

        The result is what the manifest says under ``quality``: mean and least cosine, and where there are tasks each
        one's Spearman in both precisions, the averages, alignment and uniformity.

        ``cheap`` is the artifact in each of the ways in which it runs. Each must pass, and the figures are those of
        the worst. Of several ways, ``by_kernels`` has the chief ones.
        """
        reference = exact.encode(list(self.texts), truncate="silent")
        before = self.score(exact) if self.tasks else None
        costs = {way(encoder): self._cost(encoder, reference, before) for encoder in cheap}
        worst = max(costs.values(), key=lambda cost: cost.get("average_drop", -cost["mean_cosine"]))
        if len(costs) == 1:
            return worst
        chief = ("mean_cosine", "min_cosine", "average_drop")
        by_kernels = {name: {key: cost[key] for key in chief if key in cost} for name, cost in costs.items()}
        return {**worst, "by_kernels": by_kernels}

    def _cost(
        self, cheap: Encoder, reference: NDArray[np.float32], before: quality.Quality | None
    ) -> Mapping[str, Any]:
        texts = list(self.texts)
        agreement = compare(cheap.encode(texts, truncate="silent"), reference)
        cost: dict[str, Any] = {
            "sentences": len(texts),
            "mean_cosine": agreement.mean_cosine,
            "min_cosine": agreement.min_cosine,
        }
        if before is None:
            if not agreement.mean_cosine >= LEAST_MEAN_COSINE:
                raise QualityError(
                    f"mean cosine to float32 is {agreement.mean_cosine:.4f} over {len(texts)} sentences, less than "
                    f"{LEAST_MEAN_COSINE}; calibrate on sentences like yours (",
                    Wording("calibration=…", "--calibration FILE"),
                    "), or judge by STS (",
                    Wording("sts=… with max_quality_drop=…", "--sts FOLDER with --max-quality-drop"),
                    ")",
                )
            return cost
        measured = self.score(cheap)
        drop = before.average - measured.average
        cost |= {"sts": measured.to_json(), "sts_fp32": before.to_json(), "average_drop": drop}
        if not drop <= self.max_quality_drop:
            raise QualityError(
                f"average Spearman falls by {drop:.2f} points, from {before.average:.2f} to {measured.average:.2f}; "
                f"{self.max_quality_drop:g} are allowed (",
                Wording("max_quality_drop", "--max-quality-drop"),
                ")",
            )
        return cost

    def score(self, encoder: Encoder) -> quality.Quality:
        """The quality of an artifact on the tasks."""
        return quality.measure(self.tasks, lambda texts: encoder.encode(texts, truncate="silent"))
