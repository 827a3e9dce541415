"""Keeps pages and plots in step with results: fills the blocks of a page, and stamps a plot with its figures."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from . import (
    choice_tables,
    cuda_tables,
    form_tables,
    gpu_tables,
    hybrid_tables,
    index_tables,
    lead,
    search_goals,
    search_tables,
    serve_tables,
    tables,
)
from .charts import CHARTS

TABLES = {
    **tables.TABLES,
    **lead.TABLES,
    **search_tables.TABLES,
    **search_goals.TABLES,
    **serve_tables.TABLES,
    **choice_tables.TABLES,
    **cuda_tables.TABLES,
    **form_tables.TABLES,
    **hybrid_tables.TABLES,
    **index_tables.TABLES,
    **gpu_tables.TABLES,
}
_BLOCK = re.compile(r"<!-- benchmark:([\w-]+) -->\n(.*?)<!-- /benchmark -->", re.DOTALL)


def read_results(folder: Path) -> dict[str, Any]:
    """Every result's content by its file's name without suffix."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def printed(results: Mapping[str, Any]) -> str:
    """Every table that has results."""
    texts = {name: block(name, results) for name in TABLES}
    return "\n".join(f"\n{name}\n\n{text}" for name, text in texts.items() if text != block(name, {}))


def block(name: str, results: Mapping[str, Any]) -> str:
    """A table's Markdown, or that its results are missing."""
    table, needed = TABLES[name]
    return table(results) if results.keys() >= {*needed} else tables.MISSING


def filled(text: str, results: Mapping[str, Any]) -> str:
    """A page with every block as the results have it.

    Raises:
        KeyError: a marker names no table.
    """
    return _BLOCK.sub(
        lambda mark: f"<!-- benchmark:{mark[1]} -->\n{block(mark[1], results)}\n<!-- /benchmark -->", text
    )


def check(results: Mapping[str, Any], pages: Iterable[Path], assets: Path) -> list[str]:
    """What is out of step, one line each."""
    faults = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for old, new in zip(_BLOCK.finditer(text), _BLOCK.finditer(filled(text, results)), strict=True):
            if old[0] != new[0]:
                faults.append(f"{page.name}: the block {old[1]} is not what the results say")
    for name, (select, _) in CHARTS.items():
        path = assets / f"{name}.svg"
        data = select(results)
        drawn = path.read_text(encoding="utf-8") if path.is_file() else ""
        if data is not None and _stamp(data) not in drawn:
            faults.append(f"{path.name}: {'drawn from other figures' if drawn else 'missing'}")
        elif data is None and drawn:
            faults.append(f"{path.name}: there are no figures for it")
    return faults


def draw(results: Mapping[str, Any], assets: Path) -> None:
    """Draw every plot that has figures; remove those that have none."""
    from .plots import svg

    assets.mkdir(parents=True, exist_ok=True)
    for name, (select, title) in CHARTS.items():
        path = assets / f"{name}.svg"
        data = select(results)
        if data is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(f"{svg(name, title, data)}{_stamp(data)}\n", encoding="utf-8")


def _stamp(data: Any) -> str:
    """Says from which figures a plot was drawn, so that a change shows without drawing."""
    content = json.dumps(data, sort_keys=True).encode()
    return f"<!-- figures {hashlib.sha256(content).hexdigest()} -->"
