"""Draws the plots as SVG: the only file that imports matplotlib. Same figures and version, same bytes.

The background is transparent and the greys lie halfway, so that a plot reads on light pages and on dark ones.
"""

import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from .charts import named_and_others
from .labels import LABELS
from .serve_tables import LABELS as SERVICES

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
# Others that are this close to a named contestant stand in its label.
_HAIR = 0.12


def svg(name: str, title: str, data: Any) -> str:
    """The plot of this name, as a file's content."""
    height, paint = _PLOTS[name]
    with mpl.rc_context(_STYLE):
        plot = Figure(figsize=(_WIDTH, height), layout="constrained")
        plot.patch.set_alpha(0)
        axes = plot.add_subplot()
        axes.patch.set_alpha(0)
        axes.set_title(title, loc="left", fontsize=12)
        paint(axes, data)
        file = io.StringIO()
        FigureCanvasSVG(plot).print_svg(file, metadata={"Date": None, "Title": title})
    # It ends lines with blanks.
    return re.sub(r" +$", "", file.getvalue(), flags=re.MULTILINE)


def _throughput_quality(axes: Axes, data: Mapping[str, list[float]]) -> None:
    named, others = named_and_others(data, lambda name: -data[name][0])
    scores = [score for _, score in data.values()]
    low, high = min(scores), max(scores)
    room = max(high - low, 0.1)
    axes.set_xlim(0, 1.15 * max(rate for rate, _ in data.values()))
    axes.set_ylim(low - 0.35 * room, high + 0.35 * room)
    groups: dict[str, list[str]] = {name: [] for name in named}
    for name in others:
        near = [each for each in named if _close(data[name], data[each], room)]
        for each in near[:1]:
            groups[each].append(name)
        axes.plot(*data[name], "o", markersize=5, color=GREY, alpha=0.6, zorder=3)
    taken: list[tuple[float, float, float, float]] = []
    for name, members in groups.items():
        axes.plot(*data[name], "o", markersize=9, color=_color(name), zorder=4)
        rates = sorted(data[each][0] for each in (name, *members))
        text = f"{LABELS[name]}  {data[name][0]:,.0f}"
        if members:
            text += f"\nand {_count(len(members))} within {rates[0]:,.0f} – {rates[-1]:,.0f}"
        offset, side = _place(axes, text, data[name], taken)
        style = {"textcoords": "offset points", "color": _color(name), "fontsize": 10, "va": "center", "ha": side}
        axes.annotate(text, data[name], offset, **style)
    axes.set_xlabel("sentences a second; small grey points: the others of the table")
    axes.set_ylabel(f"STS Spearman x 100 (the axis spans {1.7 * room:.1f} of 100)")
    axes.grid()


def _close(one: list[float], other: list[float], room: float) -> bool:
    return abs(one[0] - other[0]) < _HAIR * other[0] and abs(one[1] - other[1]) < _HAIR * room


def _place(
    axes: Axes, text: str, point: list[float], taken: list[tuple[float, float, float, float]]
) -> tuple[tuple[float, float], str]:
    """A label's offset in points, and the side that is at its point: the nearest place that covers no other label."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    wide, high = 72 * 0.85 * _WIDTH, 72 * 0.8 * axes.figure.get_figheight()
    x, y = wide * (point[0] - left) / (right - left), high * (point[1] - bottom) / (top - bottom)
    lines = text.split("\n")
    # About the size of the font's letters.
    width, height = 5.6 * max(map(len, lines)), 13 * len(lines)
    start = x - width if x + width > wide else x
    for level in range(12):
        dy = (-1) ** level * (12 + height / 2 + 9 * (level // 2))
        low = y + dy - height / 2
        if all(start + width <= x0 or x1 <= start or low + height <= y0 or y1 <= low for x0, y0, x1, y1 in taken):
            break
    taken.append((start, low, start + width, low + height))
    return ((6, dy), "right") if start < x else ((-6, dy), "left")


def _latency(axes: Axes, data: Mapping[str, Mapping[str, float]]) -> None:
    named, others = named_and_others(data, lambda name: data[name]["p50"])
    for row, name in _rows(axes, named, others):
        at, color = data[name], _color(name)
        axes.plot([at["p5"], at["p99"]], [row, row], color=color, linewidth=2, alpha=0.5)
        axes.plot([at["p25"], at["p75"]], [row, row], color=color, linewidth=8, alpha=0.6, solid_capstyle="butt")
        axes.plot([at["p50"]], [row], "|", color=color, markersize=14, markeredgewidth=3)
        axes.plot([at["p99.9"]], [row], "o", color=color, markersize=4)
        _beside(axes, at["p99.9"], row, " / ".join(f"{at[p]:.1f}" for p in ("p50", "p99", "p99.9")), color)
    _others(axes, 0, [data[name]["p50"] for name in others], "median {:.1f} – {:.1f}", 0.35)
    axes.set_xscale("log")
    # The figures stand to the right of the last dot.
    axes.set_xlim(right=4 * max(at["p99.9"] for at in data.values()))
    _one_two_five(axes.xaxis)
    axes.set_xlabel("ms, logarithmic; bar: median, dot: p99.9\nthick: 25th to 75th percentile, thin: 5th to 99th")
    axes.grid(axis="x", which="both")


def _lengths(axes: Axes, data: Mapping[str, Mapping[str, float]]) -> None:
    named, others = named_and_others(data, lambda name: -list(data[name].values())[-1])
    lengths = list(next(iter(data.values())))
    numbers = [int(length) for length in lengths]
    for marker, name in zip("osD^vP", named, strict=False):
        style = {"marker": marker, "markersize": 6, "linewidth": 2.5 if name.startswith("ours") else 1.3}
        rates = list(data[name].values())
        axes.plot(numbers[: len(rates)], rates, color=_color(name), label=LABELS[name], **style)
    if others:
        rates = [[data[name][length] for name in others if length in data[name]] for length in lengths]
        low, high = [min(each) for each in rates], [max(each) for each in rates]
        axes.fill_between(numbers, low, high, color=GREY, alpha=0.2, label=_count(len(others)))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(numbers)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _one_two_five(axes.yaxis)
    axes.set_xlabel("tokens a text")
    axes.set_ylabel("tokens a second, logarithmic")
    axes.grid(which="both")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9.5)


def _memory(axes: Axes, data: Mapping[str, Mapping[str, float]]) -> None:
    named, others = named_and_others(data, lambda name: list(data[name].values())[-1])
    counts = list(data[named[0]])
    thick = 0.8 / len(counts)
    rows = _rows(axes, named, others)
    for i, count in enumerate(counts):
        shift, alpha, what = 0.4 - thick * (i + 0.5), 1 if i else 0.5, f"{int(count):,} sentences"
        for row, name in rows:
            axes.barh(row + shift, data[name][count], thick, color=_color(name), alpha=alpha)
            _beside(axes, data[name][count], row + shift, f"{data[name][count]:,.0f} MB, {what}", GREY)
        _others(axes, shift, [data[name][count] for name in others], "{:,.0f} – {:,.0f} MB, " + what, thick)
    axes.set_xlim(0, 1.8 * max(value for each in data.values() for value in each.values()))
    axes.set_xlabel("MB")
    axes.grid(axis="x")


def _cold_start(axes: Axes, data: Mapping[str, Mapping[str, float]]) -> None:
    total = {name: sum(stages.values()) for name, stages in data.items()}
    named, others = named_and_others(data, total.__getitem__)
    for row, name in _rows(axes, named, others):
        left = 0.0
        for seconds, alpha in zip(data[name].values(), (1.0, 0.65, 0.35), strict=True):
            axes.barh(row, seconds, 0.65, left=left, color=_color(name), alpha=alpha)
            left += seconds
        _beside(axes, left, row, f"{left:.2f} s", GREY)
    _others(axes, 0, [total[name] for name in others], "{:.2f} – {:.2f} s", 0.65)
    axes.set_xlim(0, 1.2 * max(total.values()))
    axes.set_xlabel("seconds; from full colour to faint: start and import, load, first vector")
    axes.grid(axis="x")


def _serving(axes: Axes, data: Mapping[str, list[list[float]]]) -> None:
    peers = iter((FIRST, SECOND, THIRD))
    for name, points in data.items():
        rates, medians, tails = zip(*points, strict=True)
        style = {"color": OURS if name.startswith("ours") else next(peers), "marker": "o", "markersize": 4}
        axes.plot(rates, medians, linewidth=2.2, label=SERVICES[name], **style)
        axes.plot(rates, tails, linewidth=1.2, linestyle="--", alpha=0.8, **style)
    axes.set_xscale("log")
    axes.set_yscale("log")
    _one_two_five(axes.xaxis)
    _one_two_five(axes.yaxis)
    axes.set_xlabel("requests a second that arrive, up to what each service can do; logarithmic")
    axes.set_ylabel("ms from arrival to answer, logarithmic\nsolid: p50, dashed: p99")
    axes.grid(which="both")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, fontsize=9.5)


_PLOTS: dict[str, tuple[float, Callable[[Axes, Any], None]]] = {
    "throughput-quality": (4.6, _throughput_quality),
    "latency": (3.8, _latency),
    "lengths": (4.4, _lengths),
    "memory": (4.6, _memory),
    "cold-start": (3.6, _cold_start),
    "serving": (4.6, _serving),
}


def _color(name: str) -> str:
    if name.startswith("ours"):
        return OURS
    return _BY_ARITHMETIC.get(name.rpartition("-")[2], FIRST)


def _count(number: int) -> str:
    words = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return f"{words[number] if number < len(words) else number} other{'s' * (number > 1)}"


def _rows(axes: Axes, named: list[str], others: list[str]) -> list[tuple[int, str]]:
    """A row for each named contestant, the best on top, and the lowest for the others together."""
    first = 1 if others else 0
    rows = [(len(named) - 1 - i + first, name) for i, name in enumerate(named)]
    labels = {row: LABELS[name] for row, name in rows} | ({0: _count(len(others))} if others else {})
    axes.set_yticks(list(labels), list(labels.values()))
    for label, (_, name) in zip(axes.get_yticklabels(), rows, strict=False):
        label.set_color(_color(name))
    axes.set_axisbelow(True)
    return rows


def _others(axes: Axes, y: float, values: list[float], text: str, thick: float) -> None:
    """A bar from the best of the others to the last."""
    if values:
        low, high = min(values), max(values)
        axes.barh(y, high - low, thick, left=low, color=GREY, alpha=0.5)
        _beside(axes, high, y, text.format(low, high), GREY)


def _beside(axes: Axes, x: float, y: float, text: str, color: str) -> None:
    axes.annotate(text, (x, y), (7, 0), textcoords="offset points", va="center", color=color, fontsize=10)


def _one_two_five(axis: Axis) -> None:
    """Name 1, 2 and 5 of each power of ten on a logarithmic axis."""
    axis.set_tick_params(which="both", length=4, pad=4)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:,g}" if f"{value:e}"[0] in "25" else ""))
