"""Alignment against uniformity as a plot, which is how SimCSE's paper shows them (Gao et al. 2021, figure 3).

The only file of the engine that imports matplotlib, an extra of its own.
"""

import importlib.util
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputValueError
from ..files.atomic import check_replaceable, whole_file
from .quality import Quality

_SUFFIXES = (".svg", ".png", ".pdf")
_COLUMNS = 3
_PANEL_INCHES = (4.2, 3.4)
_DOTS_PER_INCH = 150
_LINE_POINTS = 11


def check_plot(target: Path) -> None:
    """Raise, as `draw` does, for a file that cannot be written, before a model is loaded for it."""
    if target.suffix.lower() not in _SUFFIXES:
        raise InputValueError(f"{target}: the name must end with .svg, .png or .pdf")
    check_replaceable(target)
    if importlib.util.find_spec("matplotlib") is None:
        raise InputValueError(f"{target}: needs matplotlib; pip install 'simcse-engine[plot]'")


def draw(qualities: Mapping[str, Quality], target: Path) -> None:
    """Draw a panel per task with a point per artifact, by its Spearman's colour, into a file that is replaced.

    Both axes are better towards the lower left. A task without a positive pair has no alignment, and no panel.

    Args:
        qualities: of each artifact by its name, on the same tasks.
        target: its suffix decides the format.

    Raises:
        InputValueError: as `check_plot` says; or no task has a positive pair.
    """
    check_plot(target)
    from matplotlib.figure import Figure

    panels = {}
    for task in next(iter(qualities.values())).tasks:
        of_each = {name: quality.tasks[task] for name, quality in qualities.items()}
        points = {
            name: (each.uniformity, each.alignment, each.spearman)
            for name, each in of_each.items()
            if each.alignment is not None and each.uniformity is not None
        }
        if points:
            panels[task] = points
    if not panels:
        raise InputValueError(f"{target}: no task has a pair with a score above 4, so there is no alignment to draw")
    columns = min(len(panels), _COLUMNS)
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(_PANEL_INCHES[0] * columns, _PANEL_INCHES[1] * rows), layout="constrained")
    for i, (task, points) in enumerate(panels.items(), 1):
        _panel(figure, figure.add_subplot(rows, columns, i), task, points)
    with whole_file(target) as path:
        figure.savefig(path, format=target.suffix.lower()[1:], dpi=_DOTS_PER_INCH)


def _panel(figure: Any, axes: Any, task: str, points: Mapping[str, tuple[float, float, float]]) -> None:
    uniformity, alignment, spearman = zip(*points.values(), strict=True)
    low, high = _range(spearman, least=1.0)
    drawn = axes.scatter(uniformity, alignment, c=spearman, cmap="viridis", vmin=low, vmax=high, s=60, zorder=3)
    # From the lowest point up, so that the names of points in one place stand over each other.
    for rank, name in enumerate(sorted(points, key=lambda name: points[name][1])):
        x, y, score = points[name]
        # Names of folders, not their paths; "$" would begin a formula.
        label = f"{Path(name).name}  {score:.2f}".replace("$", r"\$")
        above = _LINE_POINTS * (rank - (len(points) - 1) / 2)
        axes.annotate(label, (x, y), xytext=(8, above), textcoords="offset points", va="center", fontsize=8)
    axes.set_title(task.replace("$", r"\$"), fontsize=11)
    axes.set_xlabel("uniformity (smaller is better)", fontsize=9)
    axes.set_ylabel("alignment (smaller is better)", fontsize=9)
    axes.set_xlim(_range(uniformity, least=0.2))
    axes.set_ylim(_range(alignment, least=0.1))
    axes.locator_params(nbins=5)
    axes.grid(alpha=0.3)
    figure.colorbar(drawn, ax=axes, label="Spearman x 100")


def _range(values: Sequence[float], *, least: float) -> tuple[float, float]:
    """The limits of an axis around ``values``: of ``least`` or more, so that noise does not look like a difference."""
    middle, half = (min(values) + max(values)) / 2, 0.8 * (max(values) - min(values))
    half = max(half, least / 2)
    return middle - half, middle + half
