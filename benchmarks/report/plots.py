"""Draws the plots as SVG: the only file that imports matplotlib. Same figures and version, same bytes.

The background is transparent and the greys lie halfway, so that a plot reads on light pages and on dark ones.
"""

import io
import itertools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from .labels import LABELS

# About 4.3 to 1 against white and against GitHub's dark page.
GREY = "#737b84"
OURS, FIRST, SECOND, THIRD = "#e8590c", "#4285c8", "#2f9e6e", "#a06ccd"
_BY_ARITHMETIC = {"int8": SECOND, "bf16": THIRD, "default": THIRD}

_STYLE = {
    "svg.hashsalt": "simcse-engine",
    "svg.fonttype": "path",
    "font.size": 11,
    "text.color": GREY,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "legend.frameon": False,
}
_WIDTH = 9.0


def figure(name: str, title: str, data: Any) -> Figure:
    """The plot of this name."""
    with mpl.rc_context(_STYLE):
        height, paint = _PLOTS[name]
        made = Figure(figsize=(_WIDTH, height), layout="constrained")
        made.patch.set_alpha(0)
        axes = made.add_subplot()
        axes.patch.set_alpha(0)
        axes.set_title(title, loc="left", fontsize=12)
        paint(axes, data)
    return made


def svg(name: str, title: str, data: Any) -> str:
    """The plot as a file's content."""
    with mpl.rc_context(_STYLE):
        drawn = figure(name, title, data)
        file = io.StringIO()
        FigureCanvasSVG(drawn).print_svg(file, metadata={"Date": None, "Title": title})
    # It ends lines with blanks.
    return re.sub(r" +$", "", file.getvalue(), flags=re.MULTILINE)


def _throughput_quality(axes: Axes, data: Mapping[str, list[float]]) -> None:
    # Several score alike, so names stand in a column beside the points, spread until none covers another.
    scores = [score for _, score in data.values()]
    low, high = min(scores), max(scores)
    room = max(high - low, 0.1)
    step = 1.35 * room / max(len(data) - 1, 1)
    right = 1.12 * max(rate for rate, _ in data.values())
    levels = [low - 0.175 * room + i * step for i in range(len(data))]
    for name, level in _untangled(data, right, levels, room).items():
        rate, score = data[name]
        axes.plot([rate], [score], "o", markersize=8, color=_color(name), zorder=3)
        label = axes.annotate(
            f"{LABELS[name]}  {rate:,.0f}",
            (rate, score),
            (right, level),
            va="center",
            color=_color(name),
            fontsize=10,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": _color(name),
                "alpha": 0.5,
                "linewidth": 0.8,
                "relpos": (0, 0.5),
                "shrinkB": 4,
            },
        )
        label.set_in_layout(False)
    axes.figure.get_layout_engine().set(rect=(0, 0, 0.67, 1))  # the names' column is the rest
    axes.set_xlim(0, right)
    axes.set_ylim(low - 0.25 * room, high + 0.25 * room)
    axes.set_xlabel("sentences a second")
    axes.set_ylabel(f"STS Spearman x 100 (the axis spans {1.5 * room:.1f} of 100)")
    axes.grid()


def _untangled(data: Mapping[str, list[float]], right: float, levels: list[float], room: float) -> dict[str, float]:
    """A level in the column for each name, so that no two lines from points to names cross."""

    def length(name: str, level: float) -> float:
        rate, score = data[name]
        return math.hypot(1 - rate / right, (level - score) / room)

    found = dict(zip(sorted(data, key=lambda name: (data[name][1], name)), levels, strict=True))
    # Two lines that cross are longer together than with their ends exchanged, so the shortest cross nowhere.
    exchanged = True
    while exchanged:
        exchanged = False
        for one, other in itertools.combinations(found, 2):
            now = length(one, found[one]) + length(other, found[other])
            if length(one, found[other]) + length(other, found[one]) < now - 1e-9:
                found[one], found[other] = found[other], found[one]
                exchanged = True
    return found


def _latency(axes: Axes, data: Mapping[str, Mapping[str, float]]) -> None:
    names = sorted(data, key=lambda name: -data[name]["p50"])
    for row, name in enumerate(names):
        at, color = data[name], _color(name)
        axes.plot([at["p5"], at["p99"]], [row, row], color=color, linewidth=2, alpha=0.5)
        axes.plot([at["p25"], at["p75"]], [row, row], color=color, linewidth=8, alpha=0.6, solid_capstyle="butt")
        axes.plot([at["p50"]], [row], "|", color=color, markersize=14, markeredgewidth=3)
        axes.plot([at["p99.9"]], [row], "o", color=color, markersize=4)
        figures = " / ".join(f"{at[p]:.1f}" for p in ("p50", "p99", "p99.9"))
        end = (at["p99.9"], row)
        axes.annotate(figures, end, (7, 0), textcoords="offset points", va="center", color=color, fontsize=10)
    _rows(axes, names)
    axes.set_xscale("log")
    # The figures stand to the right of the last dot.
    axes.set_xlim(right=4 * max(at["p99.9"] for at in data.values()))
    _one_two_five(axes.xaxis)
    axes.set_xlabel("ms, logarithmic; bar: median, dot: p99.9\nthick: 25th to 75th percentile, thin: 5th to 99th")
    axes.grid(axis="x", which="both")


def _lengths(axes: Axes, data: Mapping[str, Mapping[str, float]]) -> None:
    names = sorted(data, key=lambda name: -list(data[name].values())[-1])
    markers = "osD^vPX*<>hdp8H"
    for marker, name in zip(markers, names, strict=False):
        rates = data[name]
        color = _color(name)
        lengths = [int(length) for length in rates]
        width = 2.5 if name.startswith("ours") else 1.3
        axes.plot(
            lengths, list(rates.values()), marker=marker, markersize=6, color=color, label=LABELS[name], linewidth=width
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks([int(length) for length in next(iter(data.values()))])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _one_two_five(axes.yaxis)
    axes.set_xlabel("tokens a text")
    axes.set_ylabel("tokens a second, logarithmic")
    axes.grid(which="both")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9.5)


def _memory(axes: Axes, data: Mapping[str, Mapping[str, float]]) -> None:
    names = sorted(data, key=lambda name: -list(data[name].values())[-1])
    counts = list(data[names[0]])
    thick = 0.8 / len(counts)
    for i, count in enumerate(counts):
        rows = [row + 0.4 - thick * (i + 0.5) for row in range(len(names))]
        values = [data[name][count] for name in names]
        bars = axes.barh(rows, values, thick, color=[_color(name) for name in names], alpha=1 if i else 0.5)
        axes.bar_label(bars, [f"{value:,.0f} MB, {int(count):,} sentences" for value in values], padding=4, fontsize=9)
    _rows(axes, names)
    axes.set_xlim(0, 1.5 * max(value for each in data.values() for value in each.values()))
    axes.set_xlabel("MB")
    axes.grid(axis="x")


def _cold_start(axes: Axes, data: Mapping[str, Mapping[str, float]]) -> None:
    names = sorted(data, key=lambda name: -sum(data[name].values()))
    left = [0.0] * len(names)
    for stage, alpha in zip(data[names[0]], (1.0, 0.65, 0.35), strict=True):
        values = [data[name][stage] for name in names]
        axes.barh(range(len(names)), values, 0.65, left=left, color=[_color(name) for name in names], alpha=alpha)
        left = [before + value for before, value in zip(left, values, strict=True)]
    for row, total in enumerate(left):
        axes.annotate(f"{total:.2f} s", (total, row), (5, 0), textcoords="offset points", va="center")
    _rows(axes, names)
    axes.set_xlim(0, 1.12 * max(left))
    axes.set_xlabel("seconds; from full colour to faint: start and import, load, first vector")
    axes.grid(axis="x")


_PLOTS: dict[str, tuple[float, Callable[[Axes, Any], None]]] = {
    "throughput-quality": (5.2, _throughput_quality),
    "latency": (5.2, _latency),
    "lengths": (5.2, _lengths),
    "memory": (7.0, _memory),
    "cold-start": (5.2, _cold_start),
}


def _color(name: str) -> str:
    if name.startswith("ours"):
        return OURS
    return _BY_ARITHMETIC.get(name.rpartition("-")[2], FIRST)


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), [LABELS[name] for name in names])
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_color(_color(name))
    axes.set_axisbelow(True)


def _one_two_five(axis: Axis) -> None:
    """Name 1, 2 and 5 of each power of ten on a logarithmic axis."""
    axis.set_tick_params(which="both", length=4, pad=4)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:,g}" if f"{value:e}"[0] in "25" else ""))
